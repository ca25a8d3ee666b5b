"""The rows of a job's files, as types, and how an answer becomes one.

answers.jsonl, shortened: {"sample_id": "0", "repeat": 0, "document": "1", "question": "Напиши Фамилия",
"references": ["Петров"], "images": ["data/…/1.png"], "prompt": "Напиши Фамилия", "text": "Петров", "error": null,
"timing": {"latency_s": 0.03, …}, "prompt_tokens": 71, …}: every field of the generation, with its sample and the prompt
as it was sent.

scores.jsonl: {"sample_id": "0", "repeat": 0, "name": "cer", "part": "", "value": 0.125, "reason": "", "stats": [1, 8],
"detail": ""}: one row for each score, or for the reason why there is none.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from backends.api import Generation
from metrics.answer_tokens import AnswerTokens
from metrics.api import Case, Score
from runner.datasets import images
from runner.datasets.api import Image, Sample
from runner.datasets.encoded import BadImage
from runner.datasets.picture_names import describe_image
from runner.store import to_json

SCORE_FIELDS = tuple(field.name for field in dataclasses.fields(Score))


class AnswerRow(TypedDict):
    """A row of answers.jsonl. Exactly one of `text` and `error` is None.

    `error` has the fields of backends.api.Failure, `timing` those of backends.api.Timing (seconds). Keys that are not
    required are absent from answers of another program and from jobs that were made before the key existed.
    """

    sample_id: str
    repeat: int
    document: str
    doc_class: str
    field: str
    question: str
    references: list[str]
    images: list[str]
    context: str
    answerable: bool | None
    prompt: str | None
    text: str | None
    error: dict[str, Any] | None
    timing: dict[str, Any] | None
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    conditions: dict[str, str]
    key: NotRequired[str]
    attempts: NotRequired[int]
    reasoning: NotRequired[str | None]
    prompt_digest: NotRequired[str | None]
    token_ids: NotRequired[list[int] | None]
    served_model: NotRequired[str | None]
    image_tokens: NotRequired[int | None]
    image_sizes: NotRequired[list[list[int]] | None]
    cached_tokens: NotRequired[int | None]
    reasoning_tokens: NotRequired[int | None]
    remarks: NotRequired[list[str]]
    token_logprobs: NotRequired[dict[str, Any] | None]  # the fields of backends.api.TokenLogprobs
    lowered_max_pixels: NotRequired[int | None]
    # where places of the first clean page are on the degraded one that was shown (datasets/degrading/geometry.py)
    warp: NotRequired[list[float] | None]
    columns: NotRequired[dict[str, str]]
    rival: NotRequired[str]


class Record(TypedDict):
    """What metrics.json holds. `metrics` has only what was measured; `aggregates` are metrics.aggregate.Aggregate.

    `status` is `running` from the start of a job to its end, then `finished`, `failed` or `killed`. While it runs
    `finished_at` is None and `process` names who runs it. Times are Unix times in seconds. `race` is there if the job
    raced (docs/racing.md): it was asked `questions` about `documents` of all documents (`of`); `stopped` as worse than
    others, above all the job in the folder `worse_than`, as the first `decided_after` documents showed, by `measure`
    and more than `margin`, at `error`. `blocks` is there if it was measured in blocks over time (jobs/blocks.py).
    """

    name: str
    status: str
    error: str | None
    started_at: float
    finished_at: float | None
    metrics: dict[str, float]
    notes: list[str]
    aggregates: list[dict[str, Any]]
    timed: NotRequired[bool]
    scored_at: NotRequired[float]
    process: NotRequired[dict[str, Any]]
    race: NotRequired[dict[str, Any]]
    blocks: NotRequired[dict[str, Any]]


def answer_row(sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> dict[str, Any]:
    """Return a row of answers.jsonl: the sample, the prompt as it was sent, and every field of the generation."""
    named = {"sample_id": sample.id, "repeat": repeat}  # first in the line, for people who read it
    return {**named, **sample_columns(sample), "prompt": prompt, **to_json(generation)}


def sample_columns(sample: Sample) -> dict[str, Any]:
    """Return the columns of a row that its sample decides."""
    moved = {"warp": _warp(sample.images[0])} if sample.images and sample.images[0].degrade else {}
    return {
        "sample_id": sample.id,
        "document": sample.document,
        "doc_class": sample.doc_class,
        "field": sample.field,
        "question": sample.question,
        "references": list(sample.references),
        "images": [describe_image(image) for image in sample.images],
        "context": sample.context,
        "answerable": sample.answerable,
        **moved,
    }


def _warp(image: Image) -> list[float] | None:
    """Return where places of the clean page are on the degraded one; None if the page can't be read."""
    try:
        warp = images.warp(image)
    except BadImage:
        return None
    return None if warp is None else list(warp)


def is_truncated(row: Mapping[str, Any]) -> bool:
    """Whether an answer was cut at the limit of tokens, or in the thinking before it. Old rows have no remarks."""
    return row.get("finish_reason") == "length" or "cut_before_answer" in (row.get("remarks") or ())


def case(row: Mapping[str, Any]) -> Case:
    """Turn a row into what metrics score. What many rows share is held once."""
    error = row["error"]
    timing = row["timing"] or {}
    # What was due before an open load had settled is not measured.
    latency_s = None if timing.get("settled") is False else timing.get("latency_s")
    facts: dict[str, Any] = {"latency_s": latency_s, "finish_reason": row["finish_reason"]}
    if is_truncated(row):
        facts["finish_reason"] = "length"
    if "refusal" in (row.get("remarks") or ()):
        facts["refused"] = True
    if row["answerable"] is not None:
        facts["answerable"] = row["answerable"]
    if sizes := row.get("image_sizes"):
        facts["image_sizes"] = sizes
    if "warp" in row:
        facts["warp"] = row["warp"]
    if told := row.get("token_logprobs"):
        facts["token_logprobs"] = AnswerTokens.of(told["lengths"], told["logprobs"], told["problem"])
    if columns := row.get("columns"):
        facts["columns"] = columns  # what a table of another program knows besides
    if error:
        facts["failure"] = f"{error['kind']}: {error['message']}".splitlines()[0][:200]
    return Case(
        sample_id=row["sample_id"],
        repeat=row["repeat"],
        document=sys.intern(row["document"]),
        doc_class=sys.intern(row["doc_class"]),
        field=sys.intern(row["field"]),
        question=sys.intern(row["question"]),
        images=tuple(map(sys.intern, row["images"])),
        prediction=row["text"],
        references=tuple(row["references"]),
        rival=row.get("rival"),  # another model's answer, where a table brought it along
        facts=facts,
    )


def answer_line(row: Mapping[str, Any]) -> bytes:
    """Return a row as its line. Half of a surrogate pair, which UTF-8 can't hold, becomes JSON's own escape."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def score_line(score: Score) -> str:
    """Return a score as its row, with the line's end."""
    return json.dumps({name: getattr(score, name) for name in SCORE_FIELDS}, ensure_ascii=False) + "\n"
