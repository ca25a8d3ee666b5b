"""Reads text files and CSV tables strictly: what is wrong is said with file and line, nothing is guessed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.datasets.paths import need_file, show
from runner.datasets.tables import Cells, Table
from runner.errors import Problem, Refused

SEPARATORS = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "bars"}


def read_text(path: Path, reads: str, encoding: str = "utf-8") -> str:
    """Return the text of a file without a byte order mark. Raise Refused where it is empty or not in `encoding`."""
    data = need_file(path, reads).read_bytes()
    try:
        text = data.decode("utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"is not {encoding}: byte 0x{data[error.start]:02x} at position {error.start}"
        remedy = "save the file as UTF-8 (in Excel: 'CSV UTF-8')"
        raise Refused(Problem(what, f"{show(path)}:{line}", remedy)) from error
    except LookupError as error:
        raise Refused(Problem(f"unknown encoding {encoding!r}", show(path), "for example utf-8 or cp1251")) from error
    if not text.strip():
        raise Refused(Problem("the file is empty", show(path), f"it must hold {reads}"))
    return text


def read_csv(path: Path, reads: str, separator: str = ";", encoding: str = "utf-8") -> Table:
    """Read the header of a CSV file and give its lines one by one. Blank lines don't count, as in pandas."""
    if len(separator) != 1:
        raise Refused(Problem(f"{separator!r} is no separator", show(path), "one character, such as ;"))
    text = read_text(path, reads, encoding)
    records = _records(text, separator, show(path))
    first = next(records, None)
    if first is None or isinstance(first, Problem):
        raise Refused(first or Problem("has no header", show(path)))
    _, names = first
    header = tuple(name.strip() for name in names)
    if len(header) == 1 and (other := _likely_separator(header[0])):
        raise Refused(
            Problem(
                f"the header is a single column, {header[0]!r}: columns are separated by {SEPARATORS[other]} "
                f"and not by {SEPARATORS.get(separator, repr(separator))}",
                f"{show(path)}:1",
                f"save it with {separator!r} between columns",
            )
        )
    return Table(show(path), header, _lines(records, header, show(path)))


def _likely_separator(header: str) -> str | None:
    return next((mark for mark in SEPARATORS if mark in header), None)


def _records(text: str, separator: str, where: str) -> Iterator[tuple[int, Sequence[str]] | Problem]:
    """Yield (line number, cells) for each record; one that holds line breaks is named by its first line."""
    # strict: a quotation mark in the wrong place is an error; otherwise it would swallow the lines up to the next one
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = 'a cell that holds a quotation mark is quoted, and the mark doubled: "ООО ""Заря"""'
            yield Problem(f"not readable as CSV: {error}", f"{where}:{line}", remedy)
            return
        if any(cell.strip() for cell in cells):
            yield line, cells


def _lines(
    records: Iterator[tuple[int, Sequence[str]] | Problem], header: Sequence[str], where: str
) -> Iterator[Cells | Problem]:
    for record in records:
        if isinstance(record, Problem):
            yield record
            continue
        line, cells = record
        if len(cells) != len(header):
            what = f"{len(cells)} cells, but the header has {len(header)} columns"
            yield Problem(what, f"{where}:{line}", "quote a cell that holds the separator; remove stray separators")
        else:
            yield Cells(f"{where}:{line}", dict(zip(header, cells, strict=True)))
