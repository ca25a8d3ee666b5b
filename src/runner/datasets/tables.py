"""Tables with a header: assigns meanings to columns, and turns the cells of a line into a row."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metrics.normalisation import visible
from runner.base.errors import Problem, Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import cells
from runner.datasets.cells import Cell
from runner.datasets.reader import Note, Row

# The meanings that a column can have: the names in `dataset.columns` and the keys of JSONL rows.
MEANINGS = (
    "id",
    "document",
    "split",
    "images",
    "question",
    "references",
    "doc_class",
    "field",
    "context",
    "answerable",
)
TRUTH = {"true": True, "1": True, "yes": True, "да": True, "false": False, "0": False, "no": False, "нет": False}


@dataclass(frozen=True, slots=True)
class Cells:
    """One line of a table: its location, and its texts by column."""

    where: str
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a table as its file contains it. `number` is its row in a sheet; None in a text file."""

    where: str
    cells: Sequence[str | Cell]
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose header has been read and whose lines have not. `notes` are remarks on the choice of the sheet."""

    where: str
    header: tuple[str, ...]
    records: Iterable[Record | Problem]
    notes: tuple[str, ...] = ()

    def lines(self, read: Collection[str], answers: Collection[str] = ()) -> Iterator[Cells | Problem]:
        """Yield the lines. Columns in `read` and `answers` have the text that is shown; others the stored value.

        A cell whose shown text is not known is a problem. In `read` the trace of a lost value (`#N/A`, `4,08E+19`) is a
        problem, too; in `answers` it is not, because a model may have written it.
        """
        shown = [place for place, name in enumerate(self.header) if name and name in {*read, *answers}]
        for record in self.records:
            if isinstance(record, Problem):
                yield record
                continue
            texts = {
                name: cell if isinstance(cell, str) else cell.value
                for name, cell in zip(self.header, record.cells, strict=True)
            }
            problems: list[Problem] = []
            for place in shown:
                name, cell = self.header[place], record.cells[place]
                if isinstance(cell, str) or cell.shown is not None:
                    text = cells.unwrapped(str(cell))
                    why = "" if name in answers else cells.lost(text)
                    texts[name] = text
                else:
                    why = cell.lost
                if why:
                    problems.append(_lost(record, place, name, cell, why))
            if problems:
                yield from problems
            else:
                yield Cells(record.where, texts)


def _lost(record: Record, place: int, name: str, cell: str | Cell, why: str) -> Problem:
    """Return the problem of a cell that has lost its original value, or whose shown text is not known."""
    at = "" if record.number is None else f" ({column_letters(place)}{record.number})"
    stored = cell if isinstance(cell, str) else cell.value
    content = why if stored in why or cell is cells.NO_RESULT else f"{stored.strip()!r}: {why}"
    if isinstance(cell, str):
        remedy = "put the value back, or leave the cell empty where there is none; JSON lines take any text as it is"
    elif why.startswith("the error"):
        remedy = "put the value back, or leave the cell empty where there is none"
    elif cell is cells.NO_RESULT:
        remedy = "open the file in a spreadsheet program and save it, or write the value itself"
    else:
        remedy = "format the column as text and write it as it should be read"
    return Problem(f"column {name}{at} holds {content}", record.where, remedy)


def column_letters(place: int) -> str:
    """Return the letters by which a spreadsheet names the column number `place`, counted from 0: A, Z, AA."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def chosen_columns(config: DatasetConfig, defaults: Mapping[str, str], *needed: str) -> dict[str, str]:
    """Return the column for each meaning: the format's own names, changed by `dataset.columns`.

    Raise Refused for a meaning that there is none of, and for a null of what the format `needed`.
    """
    if unknown := sorted(set(config.columns) - set(MEANINGS)):
        what = f"unknown: {', '.join(unknown)}"
        raise Refused(Problem(what, "dataset.columns", f"what a column can mean: {', '.join(MEANINGS)}"))
    chosen = {**defaults, **config.columns}
    if without := [meaning for meaning in needed if chosen.get(meaning) is None]:
        what = f"{', '.join(without)}: null, and format {config.format} can't do without"
        raise Refused(
            Problem(what, "dataset.columns", f"the column's name; usual is {defaults.get(without[0], without[0])}")
        )
    return {meaning: cells.label(name) for meaning, name in chosen.items() if name is not None}


def check_options(config: DatasetConfig, *known: str) -> None:
    """Raise Refused for an option that the reader doesn't have, which would silently do nothing."""
    if unknown := sorted(set(config.options) - set(known)):
        remedy = f"format {config.format} has: {', '.join(known)}" if known else f"format {config.format} has none"
        raise Refused(Problem(f"unknown option: {', '.join(unknown)}", "dataset.options", remedy))


def check_header(table: Table, columns: Mapping[str, str], optional: Iterable[str] = ()) -> dict[str, str]:
    """Return those columns that the table has. Raise Refused for a duplicate column, or a missing required one."""
    header = [name for name in table.header if name]
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise Refused(Problem(f"column {', '.join(doubled)} is there twice", table.where, "rename or remove one"))
    present = {meaning: name for meaning, name in columns.items() if name in header}
    missing = [name for meaning, name in columns.items() if meaning not in present and meaning not in set(optional)]
    if missing:
        likely = _likely(columns, missing, [name for name in header if name not in present.values()])
        raise Refused(
            Problem(
                f"missing column: {', '.join(missing)}; found: {', '.join(header)}",
                table.where,
                likely
                or "rename the column, or say what it is called: 'dataset.columns={question: Вопрос}' (null: not read)",
            )
        )
    return present


def as_value(name: str) -> str:
    """Return a column's name as a value for the command line, in quotation marks if it has special characters."""
    if re.fullmatch(r"\w[\w ./-]*", name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _likely(columns: Mapping[str, str], missing: Iterable[str], free: Iterable[str]) -> str:
    """Return a remedy if a missing column's name differs only in case, spaces, `_` or `-`; else an empty text."""

    def bare(name: str) -> str:
        return re.sub(r"[\s_-]", "", name).casefold()

    names = {bare(name): name for name in free}
    similar = {
        meaning: names[bare(name)] for meaning, name in columns.items() if name in missing and bare(name) in names
    }
    mapping = ", ".join(f"{meaning}: {as_value(name)}" for meaning, name in similar.items())
    return f"say what it is called: 'dataset.columns={{{mapping}}}'" if similar else ""


def as_rows(table: Table, columns: Mapping[str, str]) -> Iterator[Row | Problem | Note]:
    """Yield the lines of a table as rows. The id is the zero-based number of the line, unless a column has the id."""
    extra = [name for name in table.header if name and name not in columns.values()]
    doubtful: list[tuple[str, str]] = []
    lists: list[str] = []
    for number, line in enumerate(table.lines(set(columns.values()))):
        if isinstance(line, Problem):
            yield line
            continue
        if cells.doubtful(reference := line.texts.get(columns.get("references", ""), "")):
            doubtful.append((line.where, reference))
        if several(reference):
            lists.append(line.where)
        yield _row(line, columns, extra, str(number))
    if doubtful:
        yield Note(f"{doubts(doubtful)}: are they what the pages say?")
    if lists:
        shown = ", ".join(lists[:5]) + (", …" if len(lists) > 5 else "")
        yield Note(f"{len(lists)} references {SEVERAL}: {shown}")


# What is told of references that are `several`.
SEVERAL = "are lists of texts, and each list counts as one answer; JSON lines take several right answers (`references`)"


def several(reference: str) -> bool:
    """Return whether a cell holds a list of texts, as JSON, Python and numpy write it: ["7", "семь"]."""
    return (
        re.fullmatch(r"""\[\s*(?:"[^"]*"|'[^']*')(?:(?:\s*,\s*|\s*)(?:"[^"]*"|'[^']*'))*\s*\]""", reference.strip())
        is not None
    )


def doubts(texts: Sequence[tuple[str, str]]) -> str:
    """Say which of (where, text) a spreadsheet may have changed (`cells.doubtful`)."""
    first = "; ".join(f"{where}: {text.strip()!r}, {cells.doubtful(text)}" for where, text in texts[:3])
    count = "1 text looks" if len(texts) == 1 else f"{len(texts)} texts look"
    return f"{count} like what a spreadsheet makes of another ({first}{'; …' if len(texts) > 3 else ''})"


def _row(line: Cells, columns: Mapping[str, str], extra: Iterable[str], number: str) -> Row | Problem:
    texts = {meaning: line.texts[name] for meaning, name in columns.items()}
    images = _image_paths(texts.get("images", "").strip())
    if images is None:
        what = f"column {columns['images']} is no list of paths: {texts['images']}"
        return Problem(what, line.where, 'one path, or several as JSON: ["1.jpg", "2.jpg"]')
    if not images and "images" in columns:
        return Problem(
            f"column {columns['images']} is empty: no image is named", line.where, "name it, or several as JSON"
        )
    answerable = texts.get("answerable", "").strip().lower()
    if answerable and answerable not in TRUTH:
        return Problem(f"column {columns['answerable']}: {answerable!r}", line.where, f"one of: {', '.join(TRUTH)}")
    document = texts.get("document", "").strip() if "document" in columns else images[0] if images else ""
    if not document:
        column = columns.get("document", columns.get("images"))
        return Problem(f"column {column} is empty: whose question is this?", line.where, "name the document")
    references = texts.get("references", "")
    return Row(
        where=line.where,
        id=texts["id"].strip() if "id" in texts else number,
        document=document,
        images=images,
        question=texts.get("question"),
        references=(references,) if visible(references).strip() else (),
        split=texts.get("split", "").strip(),
        doc_class=texts.get("doc_class", "").strip(),
        field=texts.get("field", "").strip(),
        context=texts.get("context", ""),
        answerable=TRUTH.get(answerable),
        meta={name: text for name in extra if (text := line.texts[name])},
    )


def _image_paths(text: str) -> tuple[str, ...] | None:
    """Return the image paths in a cell: one path, or a JSON list of paths. None if the list can't be read."""
    if not text.startswith("["):
        return (text,) if text else ()
    try:
        paths = json.loads(text)
    except json.JSONDecodeError:
        return None
    return tuple(paths) if isinstance(paths, list) and all(isinstance(path, str) for path in paths) else None
