"""Reads a sheet of an OpenDocument spreadsheet, which stores the shown text of each cell beside its value.

OpenDocument 1.3, Part 3, 9.1 (tables): `table:table-cell` has `office:value-type` and `office:value`, and in `text:p`
the text as it was shown. No maintained library reads that text: python-calamine returns values, odfpy is from 2020.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from runner.datasets import cells
from runner.datasets.cells import Cell

MOST_ROWS, MOST_COLUMNS = 2**20, 2**14  # LibreOffice's limits; a file that names more was made to fill the memory
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_GROUPS = (f"{_TABLE}table-header-rows", f"{_TABLE}table-row-group", f"{_TABLE}table-rows")
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")

Line = list[str | Cell]


def read(path: Path, title: str) -> list[Line]:
    """Return the lines of a sheet without the empty lines at its end. Merged cells all have the value of the first."""
    with zipfile.ZipFile(path) as packed, packed.open("content.xml") as file:
        tree = ElementTree.parse(file)  # noqa: S314 - Python's expat refuses entities that multiply; size is checked
    table = next(table for table in tree.iter(f"{_TABLE}table") if table.get(f"{_TABLE}name") == title)
    lines: list[Line] = []
    spans: dict[int, tuple[int, str | Cell]] = {}  # column -> how many rows below its merged cell covers, and its value
    empty = 0
    for row in _rows(table):
        line = _line(row, spans)
        times = min(int(row.get(f"{_TABLE}number-rows-repeated", 1)), MOST_ROWS)
        if not line:
            empty += times  # a sheet may end with a million empty rows
            continue
        lines += [[] for _ in range(empty)]
        lines += [list(line) for _ in range(times)]
        empty = 0
    return lines


def _rows(table: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for child in table:
        if child.tag == f"{_TABLE}table-row":
            yield child
        elif child.tag in _GROUPS:
            yield from _rows(child)


def _line(row: ElementTree.Element, spans: dict[int, tuple[int, str | Cell]]) -> Line:
    line: Line = []
    empty = 0
    across: tuple[int, str | Cell] = (0, "")
    for cell in (child for child in row if child.tag in _CELLS):
        times = min(int(cell.get(f"{_TABLE}number-columns-repeated", 1)), MOST_COLUMNS)
        value = _value(cell)
        place = len(line) + empty
        if cell.tag == _CELLS[1]:
            left, above = spans.get(place, (0, ""))
            value = across[1] if across[0] > 0 else above if left > 0 else value
            across = (across[0] - times, across[1])
            if left > 0:
                spans[place] = (left - 1, above)
        else:
            columns, rows = (int(cell.get(f"{_TABLE}number-{kind}-spanned", 1)) for kind in ("columns", "rows"))
            across = (columns - 1, value)
            for column in range(place, place + (columns if rows > 1 else 0)):
                spans[column] = (rows - 1, value)
        if value == "":
            empty += times
            continue
        line += [""] * empty + [value] * times
        empty = 0
    return line


def _value(cell: ElementTree.Element) -> str | Cell:
    """Return the text that a cell shows. If no text is stored beside its value, the text is not known."""
    shown = "\n".join(_text(part) for part in cell.findall(f"{_TEXT}p"))
    kind = cell.get(f"{_CALC}value-type") or cell.get(f"{_OFFICE}value-type") or ""
    values = (cell.get(f"{_OFFICE}{name}") for name in ("value", "date-value", "time-value", "boolean-value"))
    stored = next(filter(None, values), shown)
    if kind == "error":
        return Cell(shown or "#?", None, f"the error {shown}")
    if not kind and not shown and cell.get(f"{_TABLE}formula") is not None:
        return cells.NO_RESULT
    if kind in ("", "string"):
        return shown
    if not shown:
        return Cell(stored, None, f"a {kind} without the text that is shown") if stored else ""
    if kind == "float" and len(shown.strip("-").replace(" ", "").partition(",")[0].partition(".")[0]) > cells.DIGITS:
        return Cell(stored, None, f"a number of more than {cells.DIGITS} digits, which a spreadsheet cuts")
    why = cells.lost(shown)
    return Cell(stored, None, why) if why else Cell(stored, shown)


def _text(part: ElementTree.Element) -> str:
    """Return the text of a paragraph with its spaces, tabs and line breaks, but without notes and pictures."""
    text = part.text or ""
    for child in part:
        if child.tag == f"{_TEXT}s":
            text += " " * int(child.get(f"{_TEXT}c", 1))
        elif child.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
            text += "\t" if child.tag.endswith("tab") else "\n"
        elif child.tag.startswith(_TEXT) and not child.tag.endswith(("note", "ruby-text")):
            text += _text(child)
        text += child.tail or ""
    return text
