"""Which column of a table of answers means what: by its usual name, by another that is plain, or as the user says.

Where two columns could mean the same, or one could mean two things, that is said and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runner.base.errors import Problem, Refused
from runner.datasets import cells
from runner.datasets.tables import Table, as_value

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
    "error": "error",
}
# Other names that mean nothing else; letters' case, spaces, `_` and `-` don't matter.
OTHERS: dict[str, tuple[str, ...]] = {
    "model": ("модель", "название модели", "имя модели"),
    "answer": (
        *("model answer", "prediction", "predicted answer", "model output", "model response", "response"),
        *("hypothesis", "generated answer", "generated text", "ответ модели", "предсказание", "распознанный текст"),
    ),
    "references": (
        *("ground truth", "gt", "reference answer", "correct answer", "expected answer", "gold answer"),
        *("expected", "expected output", "target", "gold", "golden answer", "reference text"),
        *("эталон", "эталонный ответ", "правильный ответ", "верный ответ"),
    ),
    "document": (
        *("image path", "image name", "file", "file name", "filename", "картинка", "изображение", "файл"),
        *("имя файла", "документ"),
    ),
    "id": ("id примера",),
    "repeat": ("повтор",),
    "question": ("вопрос",),
    "doc_class": ("document class", "класс документа", "тип документа"),
    "field": ("question type", "поле"),
    "latency_s": ("latency (s)", "latency (sec)", "time (s)", "time (sec)", "время (с)", "время (сек)", "время, с"),
    "error": ("error message", "ошибка"),
}
# Read as the error only where no column is called so.
STATUS = ("status", "статус")
# The model's answer to one author, the right answer to another: read where the table has the other one, too.
EITHER = ("answer", "answers", "ответ", "ответы")


def chosen(table: Table, given: Mapping[str, str | None]) -> dict[str, str]:
    """Return which of the table's columns has which meaning.

    Raise Refused for what is needed and not there, and for what could be read in two ways.
    """
    if unknown := sorted(set(given) - set(COLUMNS)):
        what = f"unknown: {', '.join(unknown)}"
        raise Refused(Problem(what, "answer_columns", f"what a column can mean: {', '.join(COLUMNS)}"))
    header = [name for name in table.header if name]
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise Refused(Problem(f"column {', '.join(doubled)} is there twice", table.where, "rename or remove one"))
    named = {meaning: cells.label(name) for meaning, name in given.items() if name is not None}
    columns = {meaning: name for meaning, name in named.items() if name in header}
    for meaning in COLUMNS:
        if meaning not in given and (
            name := _found(table, meaning, [column for column in header if column not in columns.values()])
        ):
            columns[meaning] = name
    status = [name for name in header if _key(name) in STATUS and name not in columns.values()]
    if "error" not in {*columns, *given} and len(status) == 1:
        columns["error"] = status[0]
    _add_either(table, header, given, columns)
    _need(table, header, given, named, columns)
    return columns


def _found(table: Table, meaning: str, free: Sequence[str]) -> str | None:
    """Return the column that has a meaning by its name: the usual one, else its own, else another that is plain."""
    usual = COLUMNS[meaning]
    if usual in free:
        return usual
    for names in ({_key(usual), _key(meaning)} - set(EITHER), {*map(_key, OTHERS.get(meaning, ()))}):
        fitting = [name for name in free if _key(name) in names]
        if len(fitting) > 1:
            listed = " and ".join(map(repr, fitting))
            what = f"columns {listed} may each be what is meant by {meaning}"
            raise Refused(Problem(what, table.where, f"say which: {_told(meaning, fitting[0])} (null: neither)"))
        if fitting:
            return fitting[0]
    return None


def _add_either(table: Table, header: Sequence[str], given: Mapping[str, str | None], columns: dict[str, str]) -> None:
    """Read a column called answer as what the table doesn't have otherwise: the model's answer, or the reference."""
    open_ = [meaning for meaning in ("answer", "references") if meaning not in columns and meaning not in given]
    fitting = [name for name in header if _key(name) in EITHER and name not in columns.values()]
    if not open_ or not fitting:
        return
    if len(open_) == 2 or len(fitting) > 1:
        listed = " and ".join(map(repr, fitting))
        what = f"column {listed} may be the model's answer or the reference"
        other = _told("references", fitting[0])
        remedy = f"say which: {_told('answer', fitting[0])} or {other}; the answers need a column in any case"
        raise Refused(Problem(what, table.where, remedy))
    columns[open_[0]] = fitting[0]


def _need(
    table: Table,
    header: Sequence[str],
    given: Mapping[str, str | None],
    named: Mapping[str, str],
    columns: Mapping[str, str],
) -> None:
    missing = [name for meaning, name in named.items() if meaning not in columns]
    if "answer" not in columns and "answer" not in named:
        missing.append(COLUMNS["answer"])
    if "document" not in columns and "id" not in columns:
        missing.append(given.get("document") or COLUMNS["document"])
    if missing:
        remedy = "say what it is called: 'answer_columns={answer: Ответ}'; meanings: " + ", ".join(COLUMNS)
        what = f"missing column: {', '.join(dict.fromkeys(missing))}; found: {', '.join(header)}"
        raise Refused(Problem(what, table.where, remedy))


def told(table: Table, columns: Mapping[str, str]) -> str:
    """Say how the columns were read, and how to have them read otherwise."""
    read = ", ".join(f"{meaning} = {columns[meaning]!r}" for meaning in COLUMNS if meaning in columns)
    rest = [repr(name) for name in table.header if name and name not in columns.values()]
    named = "id" if "id" in columns else " and ".join(key for key in ("document", *_asked(columns)) if key in columns)
    repeats = "rows of a model with the same one are repeats" if "id" not in columns and "repeat" not in columns else ""
    sentences = [
        f"read as: {read}",
        f"a sample is named by its {named}" + (f", and {repeats}" if repeats else ""),
        f"kept beside the answers: {', '.join(rest)}" if rest else "",
        "to read it otherwise: 'answer_columns={references: NAME}' (null: not read)",
    ]
    return "; ".join(filter(None, sentences))


def _asked(columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return what tells the questions about one document apart."""
    return ("question",) if "question" in columns else ("field",)


def _told(meaning: str, name: str) -> str:
    return f"'answer_columns={{{meaning}: {as_value(name)}}}'"


def _key(name: str) -> str:
    return re.sub(r"[\s_\-]+", " ", name).strip().casefold()
