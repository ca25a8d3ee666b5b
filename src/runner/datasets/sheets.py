"""Reads one sheet of a workbook (.xlsx, .xlsm, .xls, .ods, .xlsb): the texts that its cells show, as cells.py defines.

The first visible sheet of cells is read, unless a sheet is named. If there are several, a note says which one was read.

- .xlsx is read by xlsx_sheets.py (openpyxl: values, formats, formulas), and .xls by xlrd 2.0 (the same).
- .ods is read by odf_sheets.py, because OpenDocument stores the shown text of each cell beside its value.
- .xlsb is read by python-calamine, which gives no formats and no errors: numbers in columns that are read are refused.
- Visible sheets and merged cells are determined by python-calamine for all kinds but .xls.
"""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.base.errors import Problem, Refused
from runner.datasets import cells, odf_sheets, xlsx_sheets
from runner.datasets.cells import Cell
from runner.datasets.paths import need_file, show
from runner.datasets.tables import Record, Table

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
MAX_UNPACKED_BYTES = 2**30  # a million rows of text take a third of this

Line = list[str | Cell]


def read_sheet(path: Path, name: str | None = None, reads: str = "a spreadsheet", choose: str = "") -> Table:
    """Return the table of a sheet; `name=None` takes the first visible sheet.

    For messages, `reads` describes the expected content and `choose` how a user names another sheet. Raise Refused if
    the file can't be read, or has no such sheet.
    """
    need_file(path, reads)
    _refuse_bomb(path)
    try:
        title, notes, lines = _opened(path, name, choose)
    except Refused:
        raise
    except Exception as error:  # these libraries raise many kinds of errors for a broken file
        what = f"can't be read as a spreadsheet: {error or type(error).__name__}"
        remedy = "open it in a spreadsheet program and save it as .xlsx; a CSV file is read by dataset=annotations"
        raise Refused(Problem(what, show(path), remedy)) from error
    filled = [(number, line) for number, line in enumerate(lines, start=1) if any(str(cell).strip() for cell in line)]
    where = f"{show(path)}, sheet {title!r}"
    if not filled:
        raise Refused(Problem(f"sheet {title!r} is empty", show(path), f"it must hold {reads}"))
    width = max(len(line) for _, line in filled)
    header = [cells.label(str(cell)) for cell in filled[0][1]]
    header += [""] * (width - len(header))
    records = (
        Record(f"{where}, row {number}", [*line, *[""] * (width - len(line))], number) for number, line in filled[1:]
    )
    return Table(where, tuple(header), records, tuple(notes))


def _refuse_bomb(path: Path) -> None:
    """Raise Refused for a small spreadsheet that would unpack to more than the memory. An .xls file is not packed."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > MAX_UNPACKED_BYTES:
        what = f"it unpacks to {size / 2**30:.1f} GiB; up to {MAX_UNPACKED_BYTES / 2**30:.0f} GiB are read"
        raise Refused(Problem(what, show(path), "split it, or save it as CSV"))


def _opened(path: Path, name: str | None, choose: str) -> tuple[str, list[str], list[Line]]:
    """Return the title of the chosen sheet, notes on the choice, and the sheet's lines."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    is_xls = path.suffix.lower() == ".xls"
    is_packed = is_xls and _is_packed(path)
    # from_path would believe the suffix, but .xlsx files with the suffix .xls are common (1C, web pages).
    book = (
        CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes())) if is_packed else CalamineWorkbook.from_path(path)
    )
    sheets = {
        sheet.name: sheet.visible == SheetVisibleEnum.Visible
        for sheet in book.sheets_metadata
        if sheet.typ == SheetTypeEnum.WorkSheet
    }
    filled = [title for title in sheets if book.get_sheet_by_name(title).end is not None]
    title = _chosen(path, name, sheets, filled)
    others = [f"{other!r}" + ("" if visible else " (hidden)") for other, visible in sheets.items() if other != title]
    notes = []
    if name is None and others:
        rule = "the first that is visible" if len(sheets) > 1 else ""
        other = f"; another: {choose}" if choose else "; to read another, put it first"
        notes.append(f"{path.name}: sheet {title!r} was read, {rule}; not read: {', '.join(others)}{other}")
    elif not sheets[title]:
        notes.append(f"{path.name}: sheet {title!r} was read, which is hidden")
    kind = path.suffix.lower()
    if is_xls and not is_packed:
        return title, notes, _xls(path, title)
    if kind == ".ods":
        return title, notes, odf_sheets.read(path, title)
    lines = _xlsb(book, title) if kind == ".xlsb" else xlsx_sheets.read(path, title)
    _unmerge(lines, book.get_sheet_by_name(title).merged_cell_ranges or ())
    return title, notes, lines


def _is_packed(path: Path) -> bool:
    """Return whether a file begins like a zip file. `zipfile.is_zipfile` also accepts one that only ends so."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _chosen(path: Path, name: str | None, sheets: dict[str, bool], filled: Sequence[str]) -> str:
    """Return the title of the sheet to read: the named one, else the first visible one of the `filled` ones."""
    visible = [title for title, is_visible in sheets.items() if is_visible]
    if name is not None and name not in sheets:
        raise Refused(Problem(f"no sheet {name!r}", show(path), f"sheets of cells: {', '.join(sheets) or 'none'}"))
    if name is not None:
        return name
    if not visible:
        what = "no sheet of cells is visible" if sheets else "there is no sheet of cells"
        raise Refused(Problem(what, show(path), f"make the one that is meant visible; there are: {', '.join(sheets)}"))
    return next((title for title in visible if title in filled), visible[0])


def _unmerge(lines: list[Line], merged: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Copy the value of a merged range, which only its first cell has, to all its cells."""
    for (top, left), (bottom, right) in merged:
        if top >= len(lines) or left >= len(lines[top]):
            continue
        width = max(len(line) for line in lines)
        end = min(right + 1, width)
        for line in lines[top : bottom + 1]:
            line.extend([""] * (end - len(line)))
            line[left:end] = [lines[top][left]] * (end - left)


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
                line.append(cells.truth(bool(cell.value)))
            elif cell.ctype == xlrd.XL_CELL_DATE:
                line.append(cells.date(_xls_date(cell.value, book.datemode)))
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
    """A log file for xlrd that discards its messages."""

    def write(self, text: str) -> None:
        """Discard the text."""


def _xlsb(book: CalamineWorkbook, title: str) -> list[Line]:
    rows = book.get_sheet_by_name(title).to_python(skip_empty_area=False)
    return [[_xlsb_cell(value) for value in row] for row in rows]


def _xlsb_cell(value: Any) -> str | Cell:
    """Return a cell of .xlsb. Its format is not known, and an error can't be distinguished from an empty cell."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        stored = cells.number(value, "General").value
        return Cell(stored, None, "a number, whose format isn't read from .xlsb: save the file as .xlsx")
    return cells.truth(value) if isinstance(value, bool) else "" if value is None else cells.date(value)
