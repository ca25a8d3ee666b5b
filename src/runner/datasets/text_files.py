"""Reads text files and CSV tables strictly: an error names file and line, and nothing is guessed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.datasets import cells
from runner.datasets.paths import need_file, show
from runner.datasets.tables import Record, Table

SEPARATORS = {";": "semicolons", ",": "commas", "\t": "tabs", "|": "bars"}


def read_text(path: Path, reads: str, encoding: str = "utf-8") -> str:
    """Return the text of a file without a byte order mark. Raise Refused if it is empty or not in `encoding`."""
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


def read_csv(
    path: Path,
    reads: str,
    separator: str | None = None,
    encoding: str = "utf-8",
    *,
    usual: str | None = None,
    option: str = "",
) -> Table:
    """Return the table in a CSV file, whose lines are read one by one. Blank lines are skipped, as in pandas.

    The separator is `separator`, else that of a first line `sep=;` (Excel's, which is no part of the table), else
    `usual`, else the character by which the header has most columns. `option` is the key that a user sets to have
    another one, where there is such a key.
    """
    text = read_text(path, reads, encoding)
    declared, skipped = _declared_separator(text)
    if separator is not None and declared is not None and declared != separator:
        what = f"the first line says sep={declared}, and the separator that was given is {separator!r}"
        give = (
            f"give the one that the file has ('+{option}={_given(declared)}')" if option else "give the one that it has"
        )
        raise Refused(Problem(what, f"{show(path)}:{skipped}", f"{give}, or remove the line"))
    separator = separator or declared or usual or _most_columns(text)
    if len(separator) != 1:
        raise Refused(Problem(f"{separator!r} is no separator", show(path), "one character, such as ;"))
    records = _records(text, separator, show(path), skipped)
    first = next(records, None)
    if first is None or isinstance(first, Problem):
        raise Refused(first or Problem("has no header", show(path)))
    line, names = first
    header = tuple(cells.label(cells.unwrapped(name)) for name in names)
    if len(header) == 1 and (other := _likely_separator(names[0].strip())):
        first_line = "that is sep= and a tab" if other == "\t" else f"sep={other}"
        remedy = f"save it with {separator!r} between columns, or write a first line {first_line}"
        if option:
            remedy = f"set '+{option}={_given(other)}', or {remedy}"
        raise Refused(
            Problem(
                f"the header is a single column, {names[0].strip()!r}: columns are separated by {SEPARATORS[other]} "
                f"and not by {SEPARATORS.get(separator, repr(separator))}",
                f"{show(path)}:{line}",
                remedy,
            )
        )
    return Table(show(path), header, _lines(records, header, show(path)))


def _given(separator: str) -> str:
    """Return a separator as it is given on the command line, where a bare comma would start a sweep."""
    return r"\t" if separator == "\t" else f'"{separator}"'


def _declared_separator(text: str) -> tuple[str | None, int]:
    """Return the separator of a first line `sep=;` and the number of that line, which blank lines may precede."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            match = re.fullmatch(r'"?sep=(.)"?[;,\t|]*', line.strip(" \r"), re.IGNORECASE)
            return (match[1], number) if match else (None, 0)
    return None, 0


def _most_columns(text: str) -> str:
    """Return the character that separates the most columns in the first line that isn't blank."""
    header = next((line for line in text.splitlines() if line.strip(" \t;,|")), "")
    return max(SEPARATORS, key=lambda sign: len(next(csv.reader([header], delimiter=sign), [])))


def _likely_separator(header: str) -> str | None:
    return next((mark for mark in SEPARATORS if mark in header), None)


def _records(text: str, separator: str, where: str, skipped: int) -> Iterator[tuple[int, Sequence[str]] | Problem]:
    """Yield (line number, cells) for each record. The number of a record with line breaks is that of its first line."""
    # A page's text in one cell may be longer than 131,072 characters, the default limit of Python's csv.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    source = io.StringIO(text, newline="")
    for _ in range(skipped):
        source.readline()
    # strict: a quotation mark in the wrong place is an error; otherwise it would swallow the lines up to the next one
    reader = csv.reader(source, delimiter=separator, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = 'a cell that holds a quotation mark is quoted, and the mark doubled: "ООО ""Заря"""'
            yield Problem(f"not readable as CSV: {error}", f"{where}:{line}", remedy)
            return
        if any(cell.strip() for cell in record):
            yield line, record


def _lines(
    records: Iterator[tuple[int, Sequence[str]] | Problem], header: Sequence[str], where: str
) -> Iterator[Record | Problem]:
    for record in records:
        if isinstance(record, Problem):
            yield record
            continue
        line, texts = record
        if len(texts) != len(header):
            what = f"{len(texts)} cells, but the header has {len(header)} columns"
            yield Problem(what, f"{where}:{line}", "quote a cell that holds the separator; remove stray separators")
        else:
            yield Record(f"{where}:{line}", texts)
