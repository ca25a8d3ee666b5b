"""A table of answers, .xlsx or .csv: one row per answer, several models in one file.

    model_name            Image   Question        Answer     candidate  Time Taken (sec)  Perplexity
    Qwen2-VL-7B-Instruct  a.png   Какая сумма?    100 руб.   100 руб.   4.0               15.74

Rows of one model about the same thing (its id, else document and question, else document and field) are repeats, in
the order of the file. Columns that mean nothing here are kept as texts under `columns`, where metrics=[stored] finds
them. An empty answer is a failure where the table tells so: its `error` is filled in, or it alone has no time.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.api import Failure
from metrics.normalisation import visible
from metrics.numerals import figure, has_decimal_comma
from runner.base.errors import Problem
from runner.datasets import cells
from runner.datasets.api import Sample
from runner.datasets.findings import Findings
from runner.datasets.tables import SEVERAL, Cells, Table, doubts, several
from runner.jobs.answer_files import columns as meanings
from runner.jobs.answer_files.api import NO_REFERENCE, SUSPICIOUS, AnswerSet, listed, odd_answers, row

NO_ERROR = (
    *("", "0", "0.0", "false", "none", "null", "nan", "no", "нет", "-", "—", "ok", "ок", "200", "success", "succeeded"),
    *("done", "finished", "completed", "complete", "stop", "готово", "успешно", "успех", "нет ошибок"),
)
# Answers that read like the error of the program that should have asked the model.
_LIKE_ERRORS = re.compile(
    r"(?:error|ошибка|exception)\s*(?:\d|:|\()|traceback \(most recent|http(?:/\d\S*)? (?:error )?[45]\d\d"
    r"|(?:error code|status code): ?\d|[\w.]+(?:error|exception)\s*[:(]"
    r"|(?:request )?timed? ?out\.?$|rate limit|connection (?:error|refused|reset)|cuda out of memory|out of memory",
    re.IGNORECASE,
)


@dataclass
class _Model:
    """What has been read of one model."""

    columns: Mapping[str, str]
    decimal_comma: bool  # in the column of times
    rows: list[dict[str, Any]] = field(default_factory=list)
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    asked: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    references: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    wheres: list[str] = field(default_factory=list)
    with_errors: list[str] = field(default_factory=list)  # rows with an answer and a text in the column of errors

    def add(self, line: Cells) -> Problem | None:
        """Add one row, or say what is wrong with it."""
        columns = self.columns
        texts = {meaning: line.texts[name] for meaning, name in columns.items()}
        sample = _sample(texts)
        if not sample.document:
            return empty("document" if "document" in columns else "id", columns, line)
        if "id" in columns and not texts["id"].strip():
            return empty("id", columns, line)
        repeat = self._repeat(sample.id, texts)
        if repeat is None:
            return Problem(f"column {columns['repeat']} holds {texts['repeat']!r}", line.where, "a number from 0")
        try:
            latency = _seconds(texts.get("latency_s", ""), self.decimal_comma)
        except ValueError as error:
            remedy = "seconds, such as 1.5; to leave the times out: 'answer_columns={latency_s: null}'"
            return Problem(f"column {columns['latency_s']}: {error}", line.where, remedy)
        first = self.places.setdefault((sample.id, repeat), line.where)
        if first != line.where:
            what = f"{sample.id!r} is there twice, first in {first}"
            return Problem(what, line.where, "ids are unique; repeats are told apart by a column `repeat`")
        if problem := self._other_question(sample, line.where):
            return problem
        self._keep(line, texts, sample, repeat, latency)
        return None

    def _keep(self, line: Cells, texts: Mapping[str, str], sample: Sample, repeat: int, latency: float | None) -> None:
        error = texts.get("error", "").strip()
        answered = texts["answer"].strip()
        is_failed = error.casefold() not in NO_ERROR and (not answered or answered.casefold() in SUSPICIOUS)
        failure = Failure("bad_response", error) if is_failed else None
        named = self.columns.values()
        extra = {name: text for name, text in line.texts.items() if name and name not in named}
        text = None if failure else texts["answer"]
        made = row(sample, text, repeat=repeat, failure=failure, latency_s=latency, columns=extra)
        self.rows.append(made | ({"rival": texts["rival"]} if "rival" in texts else {}))
        self.wheres.append(line.where)
        if error.casefold() not in NO_ERROR and not is_failed:
            self.with_errors.append(f"{line.where} ({error[:60]})")

    def _repeat(self, sample: str, texts: Mapping[str, str]) -> int | None:
        """Return the number of the repeat: as told, else counted; not where there are ids: a doubled one is seen."""
        if "repeat" in texts:
            number = texts["repeat"].strip().removesuffix(".0")
            return int(number) if number.isascii() and number.isdigit() else None
        if "id" in texts:
            return 0
        self.asked[sample] += 1
        return self.asked[sample] - 1

    def _other_question(self, sample: Sample, where: str) -> Problem | None:
        """Say where rows that would be repeats of one question have different right answers: they are none."""
        known, first = self.references.setdefault(sample.id, (sample.references, where))
        if known == sample.references or "repeat" in self.columns:
            return None
        right = " and ".join(
            repr(references[0]) if references else "no reference" for references in (known, sample.references)
        )
        return Problem(
            f"{sample.id!r} has another reference than in {first} ({right}), so it is another question, and no repeat",
            where,
            "name the column that tells the questions apart: 'answer_columns={question: NAME}', or {id: NAME}",
        )

    def finish(self) -> None:
        """Take empty answers without a time for failures, where the model's other rows have one."""
        if any(row["timing"] for row in self.rows):
            lost = Failure("bad_response", "the table has neither an answer nor a time in this row")
            for row in self.rows:
                if row["timing"] is None and row["error"] is None and not row["text"].strip():
                    row.update(text=None, error=dataclasses.asdict(lost))

    def notes(self) -> Iterator[str]:
        """Say what is odd: failures, empty answers, lost references."""
        placed = list(zip(self.wheres, self.rows, strict=True))
        failed = [where for where, row in placed if row["error"] is not None]
        empty_ = [where for where, row in placed if row["text"] is not None and not row["text"].strip()]
        if failed:
            rule = "empty, with an error or without the time that other rows have"
            yield (
                f"{len(failed)} of {len(placed)} answers failed ({rule}) and stay unscored: {listed(failed)}; "
                f"{len(empty_) or 'no'} more are empty and scored as such"
            )
        texts = [
            (where, text)
            for where, row in placed
            for text in (row["text"], *row["references"])
            if text and cells.doubtful(text)
        ]
        if texts:
            yield f"{doubts(texts)}: they are scored as they are"
        if self.with_errors:
            what = "answers have a text in the column of errors as well, and are scored"
            yield f"{len(self.with_errors)} {what}: {listed(self.with_errors)}"
        if like := [where for where, row in placed if row["text"] and _LIKE_ERRORS.match(row["text"].strip())]:
            what = "answers read like the error of a program and are scored as that text"
            yield f"{len(like)} {what}; empty such cells and fill a column `error`: {listed(like)}"
        if lists := [where for where, row in placed if any(map(several, row["references"]))]:
            yield f"{len(lists)} references {SEVERAL}: {listed(lists)}"
        yield from odd_answers([(where, row["text"]) for where, row in placed if row["text"] is not None])
        if unanswered := [where for where, row in placed if not row["references"]]:
            yield f"{len(unanswered)} of {len(placed)} answers {NO_REFERENCE}: {listed(unanswered)}"


def read(path: Path, table: Table, columns: Mapping[str, str]) -> list[AnswerSet]:
    """Return one set of answers per model, in the order in which they first appear. Raise Refused naming bad rows."""
    findings = Findings(table.where)
    loose = [columns[meaning] for meaning in ("answer", "rival") if meaning in columns]
    figures = [columns[meaning] for meaning in ("repeat", "latency_s", "error") if meaning in columns]
    lines: list[Cells] = []
    for line in table.lines(set(columns.values()) - {*loose, *figures}, loose):
        if isinstance(line, Problem):
            findings.add(line)
        else:
            lines.append(line)
    times = columns.get("latency_s")
    decimal_comma = has_decimal_comma(line.texts[times] for line in lines) if times else False
    models: dict[str, _Model] = {}
    for line in lines:
        name = cells.label(line.texts[columns["model"]]) if "model" in columns else path.stem
        model = models.setdefault(name, _Model(columns, decimal_comma))
        if problem := model.add(line) if name else empty("model", columns, line):
            findings.add(problem)
    if not lines and not findings:
        findings.add(Problem("there are no rows", table.where))
    findings.refuse()
    for model in models.values():
        model.finish()
    about = (*table.notes, f"{path.name}: {meanings.told(table, columns)}")
    return [
        AnswerSet(name, model.rows, str(path), notes=(*about, *model.notes(), *_differing(name, model, models)))
        for name, model in models.items()
    ]


def empty(meaning: str, columns: Mapping[str, str], line: Cells) -> Problem:
    """Say that a cell is empty which must not be."""
    return Problem(f"column {columns[meaning]} is empty", line.where, "each row names it")


def _differing(name: str, model: _Model, models: Mapping[str, _Model]) -> Iterator[str]:
    """Say where a model's references are others than those of the table's first model: then scores don't compare."""
    first = next(iter(models))
    known = models[first].references
    other = [sample for sample, (right, _) in model.references.items() if known.get(sample, (right, ""))[0] != right]
    if other:
        yield f"{len(other)} samples have another reference for {name} than for {first}: {listed(other)}"


def _sample(texts: Mapping[str, str]) -> Sample:
    """Return the sample that a row is about. Without an id it is named by document and question, or field."""
    question, given = texts.get("question", ""), texts.get("id", "").strip()
    document = texts.get("document", "").strip() or given
    # Models whose rows name the same question in other characters answer the same sample.
    asked = unicodedata.normalize("NFC", visible(question)).strip() or texts.get("field", "").strip()
    reference = texts.get("references", "")
    return Sample(
        id=given or (f"{document}: {asked}" if asked else document),
        document=document,
        images=(),
        question=question,
        references=(reference,) if visible(reference).strip() else (),
        doc_class=cells.label(texts.get("doc_class", "")),
        field=cells.label(texts.get("field", "")),
    )


def _seconds(text: str, decimal_comma: bool) -> float | None:
    """Return seconds, None for an empty cell and for 0, which no answer takes. Raise ValueError for anything else."""
    if not text.strip():
        return None
    seconds = figure(text, decimal_comma=decimal_comma)
    if seconds < 0:
        raise ValueError(f"{text.strip()!r} is less than 0")
    return seconds or None
