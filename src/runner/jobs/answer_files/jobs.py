"""Answers of this runner: an answers.jsonl, the folder of a job, or the folder of a sweep.

A file that lies beside its config.yaml stands for its job: scores are then added there, not in a new folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.jobs.answer_files.api import AnswerSet
from runner.jobs.folder import ANSWERS, RUNNING, UNFINISHED, JobFolder

NEEDED = ("sample_id", "repeat", "document", "references", "text", "error")


def read_folder(folder: Path) -> list[AnswerSet]:
    """Read a job's folder, or all jobs below the folder of a sweep."""
    jobs = JobFolder.with_answers(folder)
    if not jobs:
        remedy = "name a job's folder, a sweep's folder, or a file of answers"
        raise Refused(Problem(f"no {ANSWERS} is in or below this folder", str(folder), remedy))
    return [read_file(job.answers_path) for job in jobs]


def read_file(path: Path) -> AnswerSet:
    """Read an answers.jsonl. Raise Refused with every line that is wrong, and where the job still runs.

    Of a job that was killed the torn last line is left out.
    """
    job = JobFolder.find(path)
    if job is not None and job.status == RUNNING:
        raise Refused(Problem(f"{job.name} is {job.error}", str(path), "wait for its end"))
    unfinished = job is not None and job.status == UNFINISHED
    problems: list[Problem] = []
    rows: list[dict[str, Any]] = []
    places: dict[tuple[str, int], int] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if unfinished and not line.endswith("\n"):
                break
            problem, row = _row(line, f"{path}:{number}")
            if problem or row is None:
                problems += [problem] if problem else []
                continue
            key = (row["sample_id"], row["repeat"])
            first = places.setdefault(key, number)
            if first != number:
                what = f"sample {key[0]!r}, repeat {key[1]}, is there twice, first in line {first}"
                problems.append(Problem(what, f"{path}:{number}", "keep one of them"))
            rows.append(row)
    if not rows and not problems:
        problems.append(Problem("there are no answers", str(path)))
    if problems:
        raise Refused(problems)
    if job is None:
        return AnswerSet(path.parent.name if path.name == ANSWERS else path.stem, rows, str(path))
    notes = (f"{job.name} is {job.error}",) if unfinished else ()
    return AnswerSet(job.name, rows, str(path), job.path, notes=notes)


def _row(line: str, where: str) -> tuple[Problem | None, dict[str, Any] | None]:
    if not line.strip():
        return None, None
    try:
        row = json.loads(line)
    except ValueError as error:
        return Problem(f"not JSON: {error}", where, "a killed job may leave a torn last line: remove it"), None
    missing = [name for name in NEEDED if name not in row] if isinstance(row, dict) else list(NEEDED)
    if missing:
        return Problem(f"missing: {', '.join(missing)}", where, "rows are those of a job's answers.jsonl"), None
    if (row["text"] is None) == (row["error"] is None):
        return Problem("needs exactly one of text and error", where), None
    defaults: dict[str, Any] = {
        "doc_class": "",
        "field": "",
        "question": "",
        "images": [],
        "context": "",
        "answerable": None,
    }
    unknown = ("timing", "finish_reason", "prompt_tokens", "completion_tokens")
    return None, {**defaults, "prompt": "", **dict.fromkeys(unknown), "conditions": {}, **row}
