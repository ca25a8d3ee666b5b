"""Reads a sheet of .xlsx through openpyxl 3.1: values with their number formats, errors, formulas without a value."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from runner.datasets import cells
from runner.datasets.cells import Cell

_FORMULA = re.compile(rb"<(?:\w+:)?f[ />]")
_LIST, _PART = "[Content_Types].xml", re.compile(r'PartName="/([^"]+)"')
_CHUNK = 2**20

Line = list[str | Cell]


def read(path: Path, title: str) -> list[Line]:
    """Return the lines of a sheet. Only the first of merged cells has a value."""
    formulas = _formulas(path, title) if _has_formulas(path) else frozenset[tuple[int, int]]()
    lines: list[Line] = []
    for row, sheet_row in enumerate(_rows(path, title, values=True)):
        line: Line = []
        for column, cell in enumerate(sheet_row):
            if cell.value is None:
                # A formula with an empty text as its result has the type str.
                is_unknown = (row, column) in formulas and cell.data_type != "str"
                line.append(cells.NO_RESULT if is_unknown else "")
            else:
                line.append(_value(cell.value, cell.data_type, cell))
        lines.append(line)
    return lines


def _rows(path: Path, title: str, *, values: bool) -> Iterator[Sequence[Any]]:
    """Yield the rows of a sheet, with values or with formulas. openpyxl can read only one of them at a time."""
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of unknown extensions, which change no cell
        with _source(path) as file:
            book = load_workbook(file, read_only=True, data_only=values)
            sheet = book[title]
            sheet.reset_dimensions()  # the size that a file declares may be wrong
            yield from sheet.iter_rows()


def _source(path: Path) -> IO[bytes]:
    """Open a workbook as a file object, because openpyxl refuses a path that ends in .xls.

    1C writes `xl/SharedStrings.xml` and lists it as `xl/sharedStrings.xml`, at which openpyxl 3.1 raises KeyError. So
    such members are renamed to the listed name.
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
    """Return the places of a sheet's formulas: (row, column), counted from 0."""
    return frozenset(
        (row, column)
        for row, sheet_row in enumerate(_rows(path, title, values=False))
        for column, cell in enumerate(sheet_row)
        if cell.data_type == "f"
    )


def _value(value: Any, kind: str, cell: Any) -> str | Cell:
    """Return the text, or the Cell, for a value that openpyxl has read."""
    if kind == "e":
        return Cell(str(value), None, f"the error {value}")
    if isinstance(value, str):
        return _unescaped(value)
    if isinstance(value, bool):
        return cells.truth(value)
    if isinstance(value, (int, float)):
        return cells.number(value, cell.number_format or "General")
    return cells.date(value)


def _unescaped(text: str) -> str:
    """Return a text without the escapes of ECMA-376 (`_x000D_`), which openpyxl 3.1 leaves as they are."""
    if "_x" not in text:
        return text
    from openpyxl.utils.escape import unescape

    plain: str = unescape(text)
    return plain
