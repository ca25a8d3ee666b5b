"""Reads one sheet of a workbook (.xlsx, .xlsm, .xls, .ods, .xlsb): what its cells show, by the rule of cells.py.

The first visible sheet of cells is read, unless one is named; where there are several, a note says which it was.

- .xlsx through openpyxl 3.1 (values, number formats, formulas), .xls through xlrd 2.0 (the same from BIFF).
- .ods through odf_sheets.py: OpenDocument stores the shown text of each cell beside its value.
- .xlsb through python-calamine, which tells neither formats nor errors: numbers in columns that are read are refused.
- Which sheets are visible, and which cells are merged, says python-calamine for all but .xls.
"""

from __future__ import annotations

import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from runner.datasets import cells, odf_sheets
from runner.datasets.cells import Cell
from runner.datasets.paths import need_file, show
from runner.datasets.tables import Record, Table
from runner.errors import Problem, Refused

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
MAX_UNPACKED_BYTES = 2**30  # a million rows of text take a third of it
_FORMULA = re.compile(rb"<(?:\w+:)?f[ />]")
_LIST, _PART = "[Content_Types].xml", re.compile(r'PartName="/([^"]+)"')
_CHUNK = 2**20

Line = list[str | Cell]


def read_sheet(path: Path, name: str | None = None, reads: str = "a spreadsheet", choose: str = "") -> Table:
    """Read the header of a sheet (None: the first that is visible) and give its lines.

    `reads` is what the file must hold and `choose` how another sheet is named, for messages. Raise Refused where the
    file can't be read, or has no such sheet.
    """
    need_file(path, reads)
    _refuse_bomb(path)
    try:
        title, notes, lines = _opened(path, name, choose)
    except Refused:
        raise
    except Exception as error:  # these libraries raise whatever a broken file leads them to
        what = f"can't be read as a spreadsheet: {error or type(error).__name__}"
        remedy = "open it in a spreadsheet program and save it as .xlsx; a CSV file is read by dataset=annotations"
        raise Refused(Problem(what, show(path), remedy)) from error
    filled = [(number, line) for number, line in enumerate(lines, start=1) if any(str(cell).strip() for cell in line)]
    where = f"{show(path)}, sheet {title!r}"
    if not filled:
        raise Refused(Problem(f"sheet {title!r} is empty", show(path), f"it must hold {reads}"))
    width = max(len(line) for _, line in filled)
    header = [" ".join(str(cell).split()) for cell in filled[0][1]]
    header += [""] * (width - len(header))
    records = (
        Record(f"{where}, row {number}", [*line, *[""] * (width - len(line))], number) for number, line in filled[1:]
    )
    return Table(where, tuple(header), records, tuple(notes))


def _refuse_bomb(path: Path) -> None:
    """Refuse a spreadsheet whose few bytes would unpack to more than memory holds; .xls is not packed."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > MAX_UNPACKED_BYTES:
        what = f"it unpacks to {size / 2**30:.1f} GiB; up to {MAX_UNPACKED_BYTES / 2**30:.0f} GiB are read"
        raise Refused(Problem(what, show(path), "split it, or save it as CSV"))


def _opened(path: Path, name: str | None, choose: str) -> tuple[str, list[str], list[Line]]:
    """Return the title of the sheet that is read, notes on the choice, and its lines."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    book = CalamineWorkbook.from_path(path)
    sheets = {
        one.name: one.visible == SheetVisibleEnum.Visible
        for one in book.sheets_metadata
        if one.typ == SheetTypeEnum.WorkSheet
    }
    title = _chosen(path, name, sheets)
    others = [f"{other!r}" + ("" if visible else " (hidden)") for other, visible in sheets.items() if other != title]
    notes = []
    if name is None and others:
        rule = "the first that is visible" if len(sheets) > 1 else ""
        other = f"; another: {choose}" if choose else "; to read another, put it first"
        notes.append(f"{path.name}: sheet {title!r} was read, {rule}; not read: {', '.join(others)}{other}")
    elif not sheets[title]:
        notes.append(f"{path.name}: sheet {title!r} was read, which is hidden")
    kind = path.suffix.lower()
    if kind == ".xls" and not _is_packed(path):
        return title, notes, _xls(path, title)
    if kind == ".ods":
        return title, notes, odf_sheets.read(path, title)
    lines = _xlsb(book, title) if kind == ".xlsb" else _xlsx(path, title)
    _unmerge(lines, book.get_sheet_by_name(title).merged_cell_ranges or ())
    return title, notes, lines


def _is_packed(path: Path) -> bool:
    """Say whether a file begins as a zip does; `zipfile.is_zipfile` also takes one that only ends so."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _chosen(path: Path, name: str | None, sheets: dict[str, bool]) -> str:
    """Return the sheet that is read: the named one, else the first that is visible."""
    visible = [title for title, seen in sheets.items() if seen]
    if name is not None and name not in sheets:
        raise Refused(Problem(f"no sheet {name!r}", show(path), f"sheets of cells: {', '.join(sheets) or 'none'}"))
    if name is not None:
        return name
    if not visible:
        what = "no sheet of cells is visible" if sheets else "there is no sheet of cells"
        raise Refused(Problem(what, show(path), f"make the one that is meant visible; there are: {', '.join(sheets)}"))
    return visible[0]


def _unmerge(lines: list[Line], merged: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Give each cell of a merged range its value: only the first one holds it."""
    for (top, left), (bottom, right) in merged:
        if top >= len(lines) or left >= len(lines[top]):
            continue
        width = max(len(line) for line in lines)
        end = min(right + 1, width)
        for line in lines[top : bottom + 1]:
            line.extend([""] * (end - len(line)))
            line[left:end] = [lines[top][left]] * (end - left)


# ------------------------------------------------------------------------------------------------- .xlsx


def _xlsx(path: Path, title: str) -> list[Line]:
    formulas = _formulas(path, title) if _has_formulas(path) else frozenset[tuple[int, int]]()
    lines: list[Line] = []
    for row, found in enumerate(_rows(path, title, values=True)):
        line: Line = []
        for column, cell in enumerate(found):
            if cell.value is None:
                # A formula of texts that came out empty is stored as the type str.
                is_unknown = (row, column) in formulas and cell.data_type != "str"
                line.append(cells.NO_RESULT if is_unknown else "")
            else:
                line.append(_value(cell.value, cell.data_type, cell))
        lines.append(line)
    return lines


def _rows(path: Path, title: str, *, values: bool) -> Iterator[Sequence[Any]]:
    """Yield the rows of a sheet, with values or with formulas; openpyxl tells only one of them at a time."""
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of extensions that it doesn't know: they change no cell
        with _source(path) as file:
            book = load_workbook(file, read_only=True, data_only=values)
            sheet = book[title]
            sheet.reset_dimensions()  # what a file says of its own size may be wrong
            yield from sheet.iter_rows()


def _source(path: Path) -> IO[bytes]:
    """Open a workbook for openpyxl, which would refuse it by a name that ends in .xls.

    1C writes `xl/SharedStrings.xml` and calls it `xl/sharedStrings.xml` in the list of parts: openpyxl 3.1 ends with a
    KeyError there, so such members get the name that the list has.
    """
    with zipfile.ZipFile(path) as packed:
        names = packed.namelist()
        listed = _PART.findall(packed.read(_LIST).decode("utf-8", "replace")) if _LIST in names else []
        lower = {name.lower(): name for name in names}
        renamed = {lower[part.lower()]: part for part in listed if part not in names and part.lower() in lower}
        if not renamed:
            return path.open("rb")
        copy = io.BytesIO()
        with zipfile.ZipFile(copy, "w") as again:
            for name in names:
                again.writestr(renamed.get(name, name), packed.read(name))
    copy.seek(0)
    return copy


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as packed:
        for member in packed.namelist():
            if "worksheets/" in member and member.endswith(".xml"):
                with packed.open(member) as file:
                    end = b""
                    while chunk := file.read(_CHUNK):
                        if _FORMULA.search(end + chunk):
                            return True
                        end = chunk[-64:]
    return False


def _formulas(path: Path, title: str) -> frozenset[tuple[int, int]]:
    """Return where a sheet has formulas: (row, column), from 0."""
    return frozenset(
        (row, column)
        for row, found in enumerate(_rows(path, title, values=False))
        for column, cell in enumerate(found)
        if cell.data_type == "f"
    )


def _value(value: Any, kind: str, cell: Any) -> str | Cell:
    """Return a cell as openpyxl read it."""
    if kind == "e":
        return Cell(str(value), None, f"the error {value}")
    if isinstance(value, str):
        return _unescaped(value)
    if isinstance(value, bool):
        return _truth(value)
    if isinstance(value, (int, float)):
        return cells.number(value, cell.number_format or "General")
    return _date(value)


def _truth(value: bool) -> Cell:
    why = f"{value} as a bool, which each language shows in its own words"
    return Cell(str(value), None, why)


def _date(value: object) -> Cell:
    """Return a date, a time or a duration: how it is shown depends on the program's language."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return Cell(str(value), None, f"{value} as a {type(value).__name__}, so how it is written is not known")


def _unescaped(text: str) -> str:
    """Return a text without the escapes of ECMA-376 (`_x000D_`), which openpyxl 3.1 leaves as they are."""
    if "_x" not in text:
        return text
    from openpyxl.utils.escape import unescape

    plain: str = unescape(text)
    return plain


# ------------------------------------------------------------------------------------------------- .xls, .xlsb


def _xls(path: Path, title: str) -> list[Line]:
    import xlrd

    book = xlrd.open_workbook(str(path), formatting_info=True, logfile=_Silence())
    sheet = book.sheet_by_name(title)
    lines: list[Line] = []
    for row in range(sheet.nrows):
        line: Line = []
        for cell in sheet.row(row):
            if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
                line.append("")
            elif cell.ctype == xlrd.XL_CELL_TEXT:
                line.append(cell.value)
            elif cell.ctype == xlrd.XL_CELL_NUMBER:
                code = book.format_map[book.xf_list[cell.xf_index].format_key].format_str
                line.append(cells.number(cell.value, code))
            elif cell.ctype == xlrd.XL_CELL_BOOLEAN:
                line.append(_truth(bool(cell.value)))
            elif cell.ctype == xlrd.XL_CELL_DATE:
                line.append(_date(_xls_date(cell.value, book.datemode)))
            else:
                text = xlrd.error_text_from_code.get(cell.value, "#?")
                line.append(Cell(text, None, f"the error {text}"))
        lines.append(line)
    _unmerge(lines, [((top, left), (end - 1, right - 1)) for top, end, left, right in sheet.merged_cells])
    return lines


def _xls_date(value: float, mode: int) -> object:
    import xlrd

    try:
        moment: datetime.datetime = xlrd.xldate_as_datetime(value, mode)
    except (ValueError, OverflowError):
        return value
    return moment.time() if value < 1 else moment


class _Silence:
    """Takes what xlrd would print of a file."""

    def write(self, text: str) -> None:
        """Drop it."""


def _xlsb(book: CalamineWorkbook, title: str) -> list[Line]:
    rows = book.get_sheet_by_name(title).to_python(skip_empty_area=False)
    return [[_told(value) for value in row] for row in rows]


def _told(value: Any) -> str | Cell:
    """Return a value of .xlsb, of which neither the format nor an error is known: an empty cell may be one."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        stored = cells.number(value, "General").value
        return Cell(stored, None, "a number, whose format isn't read from .xlsb: save the file as .xlsx")
    return _truth(value) if isinstance(value, bool) else "" if value is None else _date(value)
