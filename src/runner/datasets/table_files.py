"""Reads a table from a CSV file, whose separator is detected, or from a workbook."""

from __future__ import annotations

from pathlib import Path

from runner.datasets.sheets import SUFFIXES, read_sheet
from runner.datasets.tables import Table
from runner.datasets.text_files import read_csv

SHEETS = SUFFIXES


def read_table(path: Path, reads: str) -> Table:
    """Return the table in a file. `reads` describes the expected content, for messages."""
    return read_sheet(path, None, reads) if path.suffix.lower() in SHEETS else read_csv(path, reads)
