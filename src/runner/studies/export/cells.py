"""Makes texts safe for cells of a workbook: no formula, no character that XML forbids, no more than a cell can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from runner.scoring.tables import FORMULA

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

# Excel's limit for a cell, in UTF-16 code units. Excel "repairs" a file with longer cells by deleting text.
LONGEST = 32_767
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def cell(sheet: WriteOnlyWorksheet, value: object) -> Cell:
    """Return a cell. A text that looks like a formula is stored as text and marked with a quote prefix."""
    if not isinstance(value, str):
        return WriteOnlyCell(sheet, value)
    text_cell = WriteOnlyCell(sheet, fitted(value))
    text_cell.data_type = "s"  # openpyxl takes a leading = for a formula
    if value.startswith(FORMULA):
        text_cell.quotePrefix = True  # like a typed apostrophe: the cell stays text when somebody edits it
    return text_cell


def fitted(text: str) -> str:
    """Return a text that fits into a cell; a cut text ends with a note."""
    clean: str = ILLEGAL_CHARACTERS_RE.sub(
        REPLACEMENT, text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
    units = clean.encode("utf-16-le")
    if len(units) <= 2 * LONGEST:
        return clean
    note = f"… (cut: {len(text)} characters in all, see answers.jsonl)"
    return units[: 2 * (LONGEST - len(note))].decode("utf-16-le", "ignore") + note
