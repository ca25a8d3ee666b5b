"""Finds the samples that changed between two jobs: better, worse, or only with another text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.jobs.rows import AnswerRow
from runner.studies.compare.jobs import Scored

Kind = Literal["worse", "better", "same score", "not compared"]
KINDS: tuple[Kind, ...] = ("worse", "better", "same score", "not compared")


@dataclass(frozen=True, slots=True)
class ChangedSample:
    """A sample whose answer or score differs between two jobs. Scores are means over repeats; None is unscored.

    `first` and `second` are the answers of the first repeat that differs; a failed answer shows its error. `kind` is
    `not compared` if a side has no score.
    """

    sample_id: str
    document: str
    doc_class: str
    field: str
    question: str
    references: tuple[str, ...]
    first: str
    second: str
    first_score: float | None
    second_score: float | None
    kind: Kind


def changed_samples(first: Scored, second: Scored, measure: str) -> list[ChangedSample]:
    """Return the shared samples that changed, sorted by kind and then by the size of the change of the score."""
    higher = first.measures[measure][2].better != "lower"
    scores = [_means(job, measure) for job in (first, second)]
    rows = [_by_sample(job.rows) for job in (first, second)]
    changes: list[tuple[float, ChangedSample]] = []
    for sample in rows[0]:
        if sample not in rows[1]:
            continue
        values = scores[0].get(sample), scores[1].get(sample)
        texts = _texts(rows[0][sample], rows[1][sample])
        if texts[0] == texts[1] and values[0] == values[1]:
            continue
        gain = 0.0
        kind: Kind = "not compared"
        if values[0] is not None and values[1] is not None:
            gain = (values[1] - values[0]) if higher else (values[0] - values[1])
            kind = "same score" if gain == 0 else "better" if gain > 0 else "worse"
        elif values == (None, None):
            kind = "not compared" if None in _answered(rows[0][sample], rows[1][sample]) else "same score"
        changes.append((gain, _changed_sample(rows[0][sample], sample, texts, values, kind)))
    changes.sort(key=lambda pair: (KINDS.index(pair[1].kind), -abs(pair[0])))
    return [sample for _, sample in changes]


def _changed_sample(
    rows: Mapping[int, AnswerRow],
    sample: str,
    texts: tuple[str, str],
    values: tuple[float | None, float | None],
    kind: Kind,
) -> ChangedSample:
    row = next(iter(rows.values()))
    return ChangedSample(
        sample_id=sample,
        document=row["document"],
        doc_class=row["doc_class"],
        field=row["field"],
        question=row["question"],
        references=tuple(row["references"]),
        first=texts[0],
        second=texts[1],
        first_score=values[0],
        second_score=values[1],
        kind=kind,
    )


def _texts(first: Mapping[int, AnswerRow], second: Mapping[int, AnswerRow]) -> tuple[str, str]:
    """Return both answers of the first repeat that differs, or of the first repeat if none does."""
    shared = [repeat for repeat in first if repeat in second]
    pairs = [(answer(first[repeat]), answer(second[repeat])) for repeat in shared]
    nothing = (answer(next(iter(first.values()))), answer(next(iter(second.values()))))
    return next((pair for pair in pairs if pair[0] != pair[1]), pairs[0] if pairs else nothing)


def _answered(*sides: Mapping[int, AnswerRow]) -> list[str | None]:
    return [row["text"] for side in sides for row in side.values()]


def answer(row: Mapping[str, Any]) -> str:
    """Return the text of an answer, or its error in brackets."""
    if row["text"] is not None:
        return str(row["text"])
    error = row["error"] or {}
    return f"(failed: {error.get('kind')}: {error.get('message')})"


def _means(job: Scored, measure: str) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for score in job.scores:
        if score.name == measure and not score.part and score.value is not None:
            values[score.sample_id].append(score.value)
    return {sample: sum(repeats) / len(repeats) for sample, repeats in values.items()}


def _by_sample(rows: Iterable[AnswerRow]) -> dict[str, dict[int, AnswerRow]]:
    by_sample: dict[str, dict[int, AnswerRow]] = defaultdict(dict)
    for row in rows:
        by_sample[row["sample_id"]][row["repeat"]] = row
    return by_sample
