"""A table in whichever file people keep it: CSV (its separator is found) or a workbook."""

from __future__ import annotations

from pathlib import Path

from runner.datasets.sheets import SUFFIXES, read_sheet
from runner.datasets.tables import Table
from runner.datasets.text_files import read_csv

SHEETS = SUFFIXES


def read_table(path: Path, reads: str) -> Table:
    """Read the header of a table and give its lines. `reads` is what the file must hold, for messages."""
    return read_sheet(path, None, reads) if path.suffix.lower() in SHEETS else read_csv(path, reads)
