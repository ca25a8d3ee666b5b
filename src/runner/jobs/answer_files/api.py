"""What a reader of answers yields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.api import Failure, Generation, Timing
from runner.datasets import cells
from runner.datasets.api import Sample
from runner.jobs.rows import answer_row

# Texts that are answers like any other, and more probably a value that was lost on the way.
SUSPICIOUS = ("none", "nan", "null", "n/a")
# What is said of a table's answers without a reference, and no more once a dataset has brought them.
NO_REFERENCE = "have no reference and stay unscored"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """The answers of one model: rows as in a job's answers.jsonl.

    `folder` is the job folder that they lie in, None for answers of another program. `name` is what its run is called.
    `dataset_digest` names the questions where they are those of a dataset: what has the same one can be compared.
    `whole_pages`: an answer is the text of a page, whatever was asked about it.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    source: str
    folder: Path | None = None
    notes: tuple[str, ...] = ()
    dataset_digest: str | None = None
    whole_pages: bool = False


def row(
    sample: Sample,
    text: str | None,
    *,
    repeat: int = 0,
    failure: Failure | None = None,
    latency_s: float | None = None,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a row of answers.jsonl for an answer of another program: what it didn't record is None."""
    timing = None if latency_s is None else Timing(sent_at=0.0, latency_s=latency_s)
    generation = Generation(f"{sample.id}#{repeat}", text, failure, timing=timing)
    return {**answer_row(sample, repeat, generation, sample.question), "columns": dict(columns or {})}


def odd_answers(texts: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return notes on (where, answer) that are scored as they are and perhaps not meant: empty ones, `None`, `nan`."""
    empty = [where for where, text in texts if not text.strip()]
    debris = [(where, text) for where, text in texts if cells.lost(text) and text.strip().lower() not in SUSPICIOUS]
    lost = [where for where, text in texts if text.strip().lower() in SUSPICIOUS]
    notes = []
    if empty:
        notes.append(f"{len(empty)} answers are empty and are scored as such: {listed(empty)}")
    if lost:
        notes.append(f"{len(lost)} answers are None or nan and are scored as that text: {listed(lost)}")
    if debris:
        sentence = (
            f"{len(debris)} answers look like what a spreadsheet leaves of a lost value and are scored as that text"
        )
        notes.append(f"{sentence}: {listed([f'{text.strip()!r} in {where}' for where, text in debris])}")
    return tuple(notes)


def listed(names: Sequence[str]) -> str:
    """Join the first few names."""
    return ", ".join(names[:_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > _SHOWN else "")
