"""All answers as JSON lines: a row of a job's answers.jsonl, with the job, its run, and the scores.

Example (shortened): {"job": "demo_m-bf16", "run_id": "3f…", "sample_id": "0", "text": "Петров", …,
"scores": {"cer": 0.0}, "unscored": {"bleurt": "no weights"}}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from runner.jobs.folder import ANSWERS
from runner.studies.compare.jobs import Scored
from runner.studies.export.scored_answers import scored_answers


def write(folder: Path, jobs: Sequence[Scored]) -> dict[Path, int]:
    """Write answers.jsonl. Return the path with its number of rows."""
    path = folder / ANSWERS
    count = 0
    # UTF-8 can't encode lone surrogates; backslashreplace writes them as JSON escapes.
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for job in jobs:
            for answer in scored_answers(job):
                scored = {name: score.value for name, score in answer.scores.items() if score.value is not None}
                unscored = {name: score.reason for name, score in answer.scores.items() if score.value is None}
                row = {
                    "job": job.name,
                    "run_id": job.result.run_id,
                    **answer.row,
                    "scores": scored,
                    "unscored": unscored,
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
    return {path: count}
