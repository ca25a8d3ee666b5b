"""A spreadsheet (.xls, .xlsx, .xlsb, .ods) of questions beside a folder of images.

    File_name     Question                             Answer
    17-46-12.jpg  Что делать, если счет не пополняется?  Проверьте, достаточно ли средств ...

Images are in `dataset.images`, else in `images/` beside the file if there is such a folder, else beside the file. Each
image file is a document. The first visible sheet is read, or `dataset.options.sheet`. The sample id is the zero-based
number of the row below the header, not counting empty rows. A file name in a merged cell applies to all its rows.

Cells are read as they are shown (cells.py): 7 with the format 000 is "007". A date, a truth value, an error and a
number of more than 15 digits are refused. Format a cell as text to keep what you typed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from runner.base.errors import Problem
from runner.config.dataset import DatasetConfig
from runner.datasets.reader import Note, Row
from runner.datasets.sheets import read_sheet
from runner.datasets.tables import as_rows, check_header, check_options, chosen_columns

READS = "a spreadsheet with the columns File_name, Question, Answer"
COLUMNS = {"images": "File_name", "question": "Question", "references": "Answer"}


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem | Note]:
    """Read one sheet."""
    check_options(config, "sheet")
    columns = chosen_columns(config, COLUMNS)
    table = read_sheet(path, config.options.get("sheet"), READS, "dataset.options.sheet=NAME")
    yield from map(Note, table.notes)
    beside = config.images is None and (path.parent / "images").is_dir()
    for row in as_rows(table, check_header(table, columns)):
        if beside and isinstance(row, Row):
            yield dataclasses.replace(row, images=tuple(f"images/{image}" for image in row.images))
        else:
            yield row
