"""A table of answers, .xlsx or .csv: one row per answer, several models in one file.

    model_name            Image   candidate           reference           Time Taken (sec)  Perplexity
    Qwen2-VL-7B-Instruct  test_1  Здравствуйте, …     Здравствуйте, …     4.0               15.74

Rows of one model about the same thing (its id, else document and question) are repeats, in the order of the file.
Columns that mean nothing here are kept as texts under `columns`, where metrics=[stored] finds them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.answer_files.api import NO_REFERENCE, AnswerSet, listed, odd_answers, row
from runner.datasets.api import Sample
from runner.datasets.tables import Cells, Table
from runner.errors import Problem, Refused

# What a column can mean -> what it is called where `answer_columns` doesn't say otherwise.
COLUMNS = {
    "model": "model_name",
    "answer": "candidate",
    "references": "reference",
    "rival": "rival",
    "document": "Image",
    "id": "sample_id",
    "repeat": "repeat",
    "question": "question",
    "doc_class": "doc_class",
    "field": "field",
    "latency_s": "Time Taken (sec)",
}


@dataclass
class _Model:
    """What has been read of one model."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    asked: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    texts: list[tuple[str, str]] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)


def chosen(table: Table, given: Mapping[str, str | None]) -> dict[str, str]:
    """Return which of the table's columns has which meaning. Raise Refused for what is needed and not there."""
    if unknown := sorted(set(given) - set(COLUMNS)):
        what = f"unknown: {', '.join(unknown)}"
        raise Refused(Problem(what, "answer_columns", f"what a column can mean: {', '.join(COLUMNS)}"))
    header = [name for name in table.header if name]
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise Refused(Problem(f"column {', '.join(doubled)} is there twice", table.where, "rename or remove one"))
    wanted = {meaning: name for meaning, name in {**COLUMNS, **given}.items() if name is not None}
    found = {meaning: name for meaning, name in wanted.items() if name in header}
    missing = [name for meaning, name in wanted.items() if meaning in given and meaning not in found]
    missing += [wanted.get(need, need) for need in ("answer",) if need not in found and need not in given]
    if "document" not in found and "id" not in found:
        missing.append(wanted.get("document", "document"))
    if missing:
        remedy = "say what it is called: 'answer_columns={answer: Ответ}'; meanings: " + ", ".join(COLUMNS)
        what = f"missing column: {', '.join(dict.fromkeys(missing))}; found: {', '.join(header)}"
        raise Refused(Problem(what, table.where, remedy))
    return found


def read(path: Path, table: Table, columns: Mapping[str, str]) -> list[AnswerSet]:
    """Return one set of answers per model, in the order in which they first appear. Raise Refused naming bad rows."""
    models: dict[str, _Model] = {}
    problems: list[Problem] = []
    for line in table.lines:
        if isinstance(line, Problem):
            problems.append(line)
            continue
        name = line.texts[columns["model"]].strip() if "model" in columns else path.stem
        problem = _add(models.setdefault(name, _Model()), line, columns) if name else _empty("model", columns, line)
        if problem is not None:
            problems.append(problem)
    if not models and not problems:
        problems.append(Problem("there are no rows", table.where))
    if problems:
        raise Refused(problems)
    return [AnswerSet(name, one.rows, str(path), notes=tuple(_notes(one))) for name, one in models.items()]


def _empty(meaning: str, columns: Mapping[str, str], line: Cells) -> Problem:
    return Problem(f"column {columns[meaning]} is empty", line.where, "each row names it")


def _add(model: _Model, line: Cells, columns: Mapping[str, str]) -> Problem | None:
    """Add one row to its model, or say what is wrong with it."""
    texts = {meaning: line.texts[name] for meaning, name in columns.items()}
    sample = _sample(texts)
    if not sample.document:
        return _empty("document" if "document" in columns else "id", columns, line)
    if "id" in columns and not texts["id"].strip():
        return _empty("id", columns, line)
    repeat = _repeat(model, sample.id, texts)
    latency = _number(texts.get("latency_s", ""))
    if repeat is None:
        return Problem(f"column {columns['repeat']} holds {texts['repeat']!r}", line.where, "a number from 0")
    if latency is not None and not latency >= 0:
        return Problem(f"column {columns['latency_s']} holds {texts['latency_s']!r}", line.where, "seconds")
    first = model.places.setdefault((sample.id, repeat), line.where)
    if first != line.where:
        what = f"{sample.id!r} is there twice, first in {first}"
        return Problem(what, line.where, "ids are unique; repeats are told apart by a column `repeat`")
    extra = {name: text for name, text in line.texts.items() if name and name not in columns.values()}
    written = row(sample, texts["answer"], repeat=repeat, latency_s=latency, columns=extra)
    model.rows.append(written | ({"rival": texts["rival"]} if "rival" in texts else {}))
    model.texts.append((line.where, texts["answer"]))
    if not sample.references:
        model.unanswered.append(line.where)
    return None


def _sample(texts: Mapping[str, str]) -> Sample:
    """Return the sample that a row is about. Without an id it is named by document and question."""
    question, given = texts.get("question", ""), texts.get("id", "").strip()
    document = texts.get("document", "").strip() or given
    named = f"{document}: {question.strip()}" if question.strip() else document
    reference = texts.get("references", "")
    return Sample(
        id=given or named,
        document=document,
        images=(),
        question=question,
        references=(reference,) if reference.strip() else (),
        doc_class=texts.get("doc_class", "").strip(),
        field=texts.get("field", "").strip(),
    )


def _repeat(model: _Model, sample: str, texts: Mapping[str, str]) -> int | None:
    """Return the number of the repeat: as told, else counted where there are no ids, so that a doubled id is seen."""
    if "repeat" in texts:
        number = texts["repeat"].strip()
        return int(number) if number.isascii() and number.isdigit() else None
    if "id" in texts:
        return 0
    model.asked[sample] += 1
    return model.asked[sample] - 1


def _number(text: str) -> float | None:
    """Return a number, None for an empty cell, and NaN for anything else."""
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _notes(model: _Model) -> Iterator[str]:
    yield from odd_answers(model.texts)
    if model.unanswered:
        rows = listed(model.unanswered)
        yield f"{len(model.unanswered)} of {len(model.rows)} answers {NO_REFERENCE}: {rows}"
