"""Jobs, answers and scores as pandas DataFrames, for notebooks and for programs of your own.

    from runner import frames

    answers = frames.answers("multirun/2026-01-31/12-00-00")
    scores = frames.scores("multirun/2026-01-31/12-00-00", "outputs/2026-01-31/13-00-00")
    jobs = frames.jobs(RUN_ID, RUN_ID, uri="sqlite:///mlflow.db")

A source is a job's folder, the folder of a sweep, or the id of an MLflow run; `uri` says where ids are looked up
(default: MLFLOW_TRACKING_URI, else ./mlflow.db). Each job counts once. All functions raise runner.base.errors.Refused
where a source holds no job. `job` is a name that no other job of the call has: model and quantisation, with what else
tells it apart. The same sources give the same names, so it joins the three tables. Texts are never taken for numbers
or dates: "007" stays "007".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from runner.jobs import named
from runner.jobs.folder import JobFolder
from runner.jobs.results import GROUPS, names

_TEXT, _COUNT, _NUMBER, _TRUTH = "string", "Int64", "float64", "boolean"
_JOB = {"job": _TEXT, "folder": _TEXT, "run_id": _TEXT, "status": _TEXT, "error": _TEXT} | dict.fromkeys(GROUPS, _TEXT)
_ANSWER = {
    "job": _TEXT, "sample_id": _TEXT, "repeat": _COUNT, "document": _TEXT, "doc_class": _TEXT, "field": _TEXT,
    "question": _TEXT, "reference": _TEXT, "image": _TEXT, "prompt": _TEXT, "answer": _TEXT, "correct": _TRUTH,
    "error": _TEXT, "error_message": _TEXT, "finish_reason": _TEXT, "latency_s": _NUMBER, "ttft_s": _NUMBER,
    "prompt_tokens": _COUNT, "completion_tokens": _COUNT,
}  # fmt: skip
_SCORE = {
    "job": _TEXT, "sample_id": _TEXT, "repeat": _COUNT, "measure": _TEXT, "part": _TEXT, "value": _NUMBER,
    "reason": _TEXT, "detail": _TEXT,
}  # fmt: skip


def jobs(*sources: str | Path, uri: str | None = None) -> pd.DataFrame:
    """Return a row for each job, in the order in which they ended.

    Columns, all of dtype `string`: `job`, `folder`, `run_id` (missing where it was not tracked), `status` (finished,
    failed, killed, running, unfinished), `error` (missing where it finished), and the names that were chosen: `model`,
    `quant`, `backend`, `env`, `dataset`, `prompt`, `sampling`. Then a column of `float64` for each figure that a job
    has, such as `quality/cer` or `latency/p95_s`: NaN where it was not measured, never 0.
    """
    rows = []
    with named.folders(_words(sources), uri) as groups:
        for name, job in _named(groups):
            columns: dict[str, Any] = {
                "job": name,
                "folder": str(job.path),
                "run_id": job.run_id,
                "status": job.status,
                "error": job.error,
            }
            columns |= {group: (job.config.get(group) or {}).get("name") for group in GROUPS}
            rows.append(columns | dict(job.metrics))
    figures = dict.fromkeys((name for row in rows for name in row if name not in _JOB), _NUMBER)
    return _frame(rows, _JOB | figures)


def answers(*sources: str | Path, uri: str | None = None) -> pd.DataFrame:
    """Return a row for each answer of each job, in the order of the samples.

    `string`: `job`, `sample_id`, `document`, `doc_class`, `field`, `question`, `reference` (all that are right, with
    " | " between), `image` (the same of the pictures), `prompt` (as it was sent), `answer` (missing where it failed),
    `error` (its kind) and `error_message` (missing where it did not fail), `finish_reason`. `Int64`: `repeat` (from 0),
    `prompt_tokens`, `completion_tokens`. `float64`: `latency_s`, `ttft_s` (seconds to the whole answer and to its first
    text). `boolean`: `correct`, by exact_match; missing where that was not scored. Unknown is missing.
    """
    rows: list[dict[str, Any]] = []
    with named.folders(_words(sources), uri) as groups:
        for name, job in _named(groups):
            right = job.correct()
            for row in job.rows():
                error, timing = row["error"] or {}, row["timing"] or {}
                kept = {key: row.get(key) for key in _ANSWER if key in row and key != "error"}
                rows.append(
                    {
                        **kept,
                        "job": name,
                        "reference": " | ".join(row["references"]),
                        "image": " | ".join(row["images"]),
                        "answer": row["text"],
                        "correct": right.get((row["sample_id"], row["repeat"])),
                        "error": error.get("kind"),
                        "error_message": error.get("message"),
                        "latency_s": timing.get("latency_s"),
                        "ttft_s": timing.get("ttft_s"),
                    }
                )
    return _frame(rows, _ANSWER)


def scores(*sources: str | Path, uri: str | None = None) -> pd.DataFrame:
    """Return a row for each score of each answer; jobs that were not scored have none.

    `string`: `job`, `sample_id`, `measure` (such as cer), `part` (of a structured answer, "" for the whole), `reason`
    (why there is no score, "" where there is one), `detail` (a judge's explanation). `Int64`: `repeat`. `float64`:
    `value`, NaN where it is unscored.
    """
    rows: list[dict[str, Any]] = []
    with named.folders(_words(sources), uri) as groups:
        for name, job in _named(groups):
            rows += (
                {
                    "job": name,
                    "sample_id": score.sample_id,
                    "repeat": score.repeat,
                    "measure": score.name,
                    "part": score.part,
                    "value": score.value,
                    "reason": score.reason,
                    "detail": score.detail,
                }
                for score in job.scores()
            )
    return _frame(rows, _SCORE)


def _words(sources: tuple[str | Path, ...]) -> list[str]:
    return [str(source) for source in sources]


def _named(groups: list[list[JobFolder]]) -> Iterator[tuple[str, JobFolder]]:
    every = list(dict.fromkeys(job for group in groups for job in group))
    called = names(every)
    return ((called[job.path], job) for job in every)


def _frame(rows: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    """Make a table of exactly these columns; no type is guessed from the values."""
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=kind).array for name, kind in types.items()}
    )
