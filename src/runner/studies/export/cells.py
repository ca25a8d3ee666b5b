"""Texts as cells of a workbook: never a formula, no character that XML forbids, no more than a cell can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from runner.scoring.tables import FORMULA

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

# What Excel takes in one cell, in UTF-16 units; a file with more is "repaired" by throwing text away.
LONGEST = 32_767
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def cell(sheet: WriteOnlyWorksheet, value: object) -> Cell:
    """Return a cell. A text that looks like a formula is typed as text, and marked to be left so."""
    if not isinstance(value, str):
        return WriteOnlyCell(sheet, value)
    made = WriteOnlyCell(sheet, fitted(value))
    made.data_type = "s"  # openpyxl takes a leading = for a formula
    if value.startswith(FORMULA):
        made.quotePrefix = True  # as if it had been typed with an apostrophe: it stays text when somebody edits it
    return made


def fitted(text: str) -> str:
    """Return a text that a cell can hold; what was cut says so at its end."""
    clean: str = ILLEGAL_CHARACTERS_RE.sub(
        REPLACEMENT, text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
    units = clean.encode("utf-16-le")
    if len(units) <= 2 * LONGEST:
        return clean
    note = f"… (cut: {len(text)} characters in all, see answers.jsonl)"
    return units[: 2 * (LONGEST - len(note))].decode("utf-16-le", "ignore") + note
