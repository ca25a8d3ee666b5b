"""Job folders with answers and scores of the test's choice, by the real metrics: a job per candidate."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.registry import create
from runner.jobs.folder import JobFolder
from runner.scoring import score
from tests.runner.job_folders import job_folder


def scored_job(
    folder: Path,
    *overrides: str,
    answers: Sequence[str | None],
    references: Sequence[str],
    name: str = "",
    rows: Sequence[Mapping[str, Any]] = (),
    figures: Mapping[str, float] | None = None,
) -> Path:
    """Write a job that answered one question on each of as many documents; None is an answer that failed."""
    job_folder(folder, "metrics=[exact_match,cer]", *overrides)
    plain = json.loads((folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()[0])
    written = []
    for number, (answer, reference) in enumerate(zip(answers, references, strict=True)):
        error = {"kind": "timeout", "message": "after 3 s"} if answer is None else None
        row = {
            "sample_id": str(number),
            "document": str(number),
            "references": [reference],
            "text": answer,
            "error": error,
        }
        written.append(plain | row | dict(rows[number] if rows else {}))
    (folder / "answers.jsonl").write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in written), encoding="utf-8"
    )
    made = {one: create(one) for one in ("exact_match", "cer")}
    aggregates = score.score(JobFolder(folder), list(JobFolder(folder).cases()), made)
    record = json.loads((folder / "metrics.json").read_text())
    failed = sum(answer is None for answer in answers)
    measured = {"samples/total": len(answers), "samples/failed": failed, "samples/truncated": 0}
    record["metrics"] = score.values(aggregates) | measured | dict(figures or {})
    record["aggregates"] = [dataclasses.asdict(one) for one in aggregates]
    record["name"] = name or record["name"]
    (folder / "metrics.json").write_text(json.dumps(record))
    environment = json.loads((folder / "environment.json").read_text())
    environment |= {"metric_versions": {one: metric.version for one, metric in made.items()}, "dataset_digest": "same"}
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder
