"""What tables with a header have in common: which column means what, and cells turned into a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from runner.datasets.config import DatasetConfig
from runner.datasets.reader import Row
from runner.errors import Problem, Refused

# What a column can mean; the names of `dataset.columns` and of JSONL rows.
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
    """One line of a table: where it is, and its texts by column."""

    where: str
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose header has been read; its lines have not."""

    where: str
    header: tuple[str, ...]
    lines: Iterable[Cells | Problem]


def chosen_columns(config: DatasetConfig, defaults: Mapping[str, str]) -> dict[str, str]:
    """Return which column has which meaning: the format's own names, changed by `dataset.columns`."""
    if unknown := sorted(set(config.columns) - set(MEANINGS)):
        what = f"unknown: {', '.join(unknown)}"
        raise Refused(Problem(what, "dataset.columns", f"what a column can mean: {', '.join(MEANINGS)}"))
    return {meaning: name for meaning, name in {**defaults, **config.columns}.items() if name is not None}


def check_options(config: DatasetConfig, *known: str) -> None:
    """Refuse an option that the reader doesn't have: it would silently do nothing."""
    if unknown := sorted(set(config.options) - set(known)):
        remedy = f"format {config.format} has: {', '.join(known)}" if known else f"format {config.format} has none"
        raise Refused(Problem(f"unknown option: {', '.join(unknown)}", "dataset.options", remedy))


def check_header(table: Table, columns: Mapping[str, str], optional: Iterable[str] = ()) -> dict[str, str]:
    """Return the columns that the table has. Raise Refused where one that is not optional is missing or doubled."""
    header = [name for name in table.header if name]
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise Refused(Problem(f"column {', '.join(doubled)} is there twice", table.where, "rename or remove one"))
    found = {meaning: name for meaning, name in columns.items() if name in header}
    missing = [name for meaning, name in columns.items() if meaning not in found and meaning not in set(optional)]
    if missing:
        raise Refused(
            Problem(
                f"missing column: {', '.join(missing)}; found: {', '.join(header)}",
                table.where,
                "rename the column, or say what it is called: 'dataset.columns={question: Вопрос}' (null: not read)",
            )
        )
    return found


def as_rows(table: Table, columns: Mapping[str, str]) -> Iterator[Row | Problem]:
    """Turn the lines of a table into rows. The id is the zero-based number of the line, unless a column gives it."""
    extra = [name for name in table.header if name and name not in columns.values()]
    for number, line in enumerate(table.lines):
        yield line if isinstance(line, Problem) else _row(line, columns, extra, str(number))


def _row(line: Cells, columns: Mapping[str, str], extra: Iterable[str], number: str) -> Row | Problem:
    texts = {meaning: line.texts[name] for meaning, name in columns.items()}
    for meaning, text in texts.items():
        if text.strip() in ("nan", "NaN"):
            what = f"column {columns[meaning]} holds {text.strip()!r}: a lost value that was written as text"
            return Problem(what, line.where, "put the value back, or leave the cell empty where there is none")
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
        references=(references,) if references.strip() else (),
        split=texts.get("split", "").strip(),
        doc_class=texts.get("doc_class", "").strip(),
        field=texts.get("field", "").strip(),
        context=texts.get("context", ""),
        answerable=TRUTH.get(answerable),
        meta={name: text for name in extra if (text := line.texts[name])},
    )


def _image_paths(text: str) -> tuple[str, ...] | None:
    """Read the cell of image paths: one path, or a JSON list of them. None: neither."""
    if not text.startswith("["):
        return (text,) if text else ()
    try:
        paths = json.loads(text)
    except json.JSONDecodeError:
        return None
    return tuple(paths) if isinstance(paths, list) and all(isinstance(path, str) for path in paths) else None
