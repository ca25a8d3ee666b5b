"""A spreadsheet (.xls, .xlsx, .xlsb, .ods) of questions beside a folder of images.

    File_name     Question                             Answer
    17-46-12.jpg  Что делать, если счет не пополняется?  Проверьте, достаточно ли средств ...

Images lie in `dataset.images`, else in `images/` beside the file where there is such a folder, else beside the file. A
document is one image file. The first sheet is read, or `dataset.options.sheet`; the sample id is the zero-based row
below the header, empty rows left out. A file name that is merged over several rows counts for each of them.

Numbers are stored without their format: 7 is read as "7" also where the sheet shows 007, and a date is refused.
Cells that must stay as they look are formatted as text.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from runner.datasets.config import DatasetConfig
from runner.datasets.paths import need_file, show
from runner.datasets.reader import Row
from runner.datasets.tables import Cells, Table, as_rows, check_header, check_options, chosen_columns
from runner.errors import Problem, Refused

READS = "a spreadsheet with the columns File_name, Question, Answer"
COLUMNS = {"images": "File_name", "question": "Question", "references": "Answer"}
EXACT = 10**15  # a spreadsheet keeps 15 digits of a number
MAX_UNPACKED_BYTES = 2**30  # a million rows of text take a third of it


def read(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    """Read one sheet."""
    check_options(config, "sheet")
    columns = chosen_columns(config, COLUMNS)
    table = read_sheet(path, config.options.get("sheet"), set(columns.values()))
    beside = config.images is None and (path.parent / "images").is_dir()
    for row in as_rows(table, check_header(table, columns)):
        if beside and isinstance(row, Row):
            yield dataclasses.replace(row, images=tuple(f"images/{image}" for image in row.images))
        else:
            yield row


def _refuse_bomb(path: Path) -> None:
    """Refuse a spreadsheet whose few bytes would unpack to more than memory holds; .xls is not packed."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > MAX_UNPACKED_BYTES:
        what = f"it unpacks to {size / 2**30:.1f} GiB; up to {MAX_UNPACKED_BYTES / 2**30:.0f} GiB are read"
        raise Refused(Problem(what, show(path), "split it, or save it as CSV"))


def read_sheet(path: Path, name: str | None, used: set[str], reads: str = READS) -> Table:
    """Read the header of a sheet (None: the first) and give its lines. Columns in `used` must hold what they show."""
    from python_calamine import CalamineError, CalamineWorkbook

    need_file(path, reads)
    _refuse_bomb(path)
    try:
        book = CalamineWorkbook.from_path(path)
        if name is not None and name not in book.sheet_names:
            raise Refused(Problem(f"no sheet {name!r}", show(path), f"sheets: {', '.join(book.sheet_names)}"))
        sheet = book.get_sheet_by_name(name) if name is not None else book.get_sheet_by_index(0)
        lines = sheet.to_python(skip_empty_area=False)
    except (CalamineError, OSError) as error:
        what = f"can't be read as a spreadsheet: {error}"
        raise Refused(
            Problem(what, show(path), "save it as .xlsx; a CSV file is read by dataset=annotations")
        ) from error
    _unmerge(lines, sheet.merged_cell_ranges or ())
    filled = [
        (number, line) for number, line in enumerate(lines, start=1) if any(cell not in ("", None) for cell in line)
    ]
    if not filled:
        raise Refused(Problem(f"sheet {sheet.name!r} is empty", show(path), f"it must hold {reads}"))
    header = tuple(str(cell).strip() for cell in filled[0][1])
    where = f"{show(path)}, sheet {sheet.name!r}"
    return Table(where, header, (_cells(f"{where}, row {number}", header, line, used) for number, line in filled[1:]))


def _unmerge(lines: list[list[Any]], merged: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Give each cell of a merged range its value: only the first one holds it."""
    for (top, left), (bottom, right) in merged:
        for line in lines[top : bottom + 1]:
            for column in range(left, min(right + 1, len(line))):
                line[column] = lines[top][left]


def _cells(where: str, header: Sequence[str], line: Sequence[Any], used: set[str]) -> Cells | Problem:
    texts = {}
    for name, value in zip(header, line, strict=True):
        text = _text(value)
        if text is None and name in used:
            what = f"column {name} holds {value} as a {type(value).__name__}, so how it is written is not known"
            return Problem(what, where, "format the column as text and write it as it should be read")
        texts[name] = str(value) if text is None else text
    return Cells(where, texts)


def _text(value: Any) -> str | None:
    """Return a cell as it is written; None for what a spreadsheet stores in another way than it shows it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < EXACT:
        return str(int(value)) if value == int(value) else repr(value)
    return None
