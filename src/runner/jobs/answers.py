"""A job's answers.jsonl: every field of each generation, with its sample and the prompt as it was sent.

Example row (shortened): {"sample_id": "0", "repeat": 0, "document": "1", "question": "Напиши Фамилия",
"references": ["Петров"], "images": ["data/…/1.png"], "prompt": "Напиши Фамилия", "text": "Петров", "error": null,
"timing": {"latency_s": 0.03, …}, "prompt_tokens": 71, …}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.api import Generation
from metrics.api import Case
from runner.asking.questions import Generated
from runner.datasets.api import Image, Sample
from runner.datasets.encoded import BadImage
from runner.planning.job import Job
from runner.prompts import PromptError
from runner.store import Shelf, to_json


def write(job: Job, generated: Generated, shelf: Shelf, path: Path) -> None:
    """Write the answers of a job in the order of its samples. Questions that were not reached are left out."""
    with path.open("w", encoding="utf-8") as file:
        for sample in job.dataset:
            for repeat in range(job.config.sampling.repeats):
                generation = _generation(job, generated, shelf, sample, repeat)
                if generation is not None:
                    written = row(sample, repeat, generation, _prompt(job, sample))
                    file.write(json.dumps(written, ensure_ascii=False) + "\n")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of an answers.jsonl."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def case(row: dict[str, Any]) -> Case:
    """Turn a row into what metrics score. What many rows share is held once."""
    error = row["error"]
    facts: dict[str, Any] = {"latency_s": (row["timing"] or {}).get("latency_s"), "finish_reason": row["finish_reason"]}
    if "refusal" in (row.get("remarks") or ()):
        facts["refused"] = True
    if row["answerable"] is not None:
        facts["answerable"] = row["answerable"]
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


def _generation(job: Job, generated: Generated, shelf: Shelf, sample: Sample, repeat: int) -> Generation | None:
    question = (sample.id, repeat)
    if question in generated.failures:
        return generated.failures[question]
    key = generated.keys.get(question)
    if key is None:
        return None
    found = shelf.find(key, job.conditions)
    if found is None and job.config.reuse == "answers":
        found = shelf.find(key, None)
    return found


def describe_image(image: Image) -> str:
    """Name a picture for people: the path, and the page of a PDF."""
    return str(image.path) if image.page is None else f"{image.path}#page={image.page + 1}"


def _prompt(job: Job, sample: Sample) -> str | None:
    try:
        return job.prompt.text(sample, job.ocr.text(sample.images) if job.ocr else None)
    except (PromptError, BadImage):
        return None  # that sample's failure says why


def row(sample: Sample, repeat: int, generation: Generation, prompt: str | None) -> dict[str, Any]:
    """Return a row: the sample, the prompt as it was sent, and every field of the generation."""
    return {
        "sample_id": sample.id,
        "repeat": repeat,
        "document": sample.document,
        "doc_class": sample.doc_class,
        "field": sample.field,
        "question": sample.question,
        "references": list(sample.references),
        "images": [describe_image(image) for image in sample.images],
        "context": sample.context,
        "answerable": sample.answerable,
        "prompt": prompt,
        **to_json(generation),
    }
