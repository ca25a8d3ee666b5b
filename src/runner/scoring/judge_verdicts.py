"""Reads and writes a job's verdicts.jsonl: a row for each judge, answer and order, with tokens and cost.

Example row (shortened): {"sample_id": "0", "repeat": 0, "judge": "gpt_4o_mini", "order": 1, "state": "valid",
"candidate": {"usefulness": 8.0}, "rival": {"usefulness": 9.0}, "explanation": "…", "problem": "",
"rival_answer": "…", "replies": ["…"], "prompt_tokens": 612, "completion_tokens": 80, "cost_usd": 0.00014}
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.api import Case
from metrics.judge import JudgeVerdict

NAME = "verdicts.jsonl"
_VERDICT = tuple(field.name for field in dataclasses.fields(JudgeVerdict))


def write(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace the verdicts of a job atomically: if the process is killed, the older file remains."""
    fresh = folder / f"{NAME}.tmp"
    with fresh.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    fresh.replace(folder / NAME)


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the verdicts of a job; none if it was not judged."""
    if (folder / NAME).exists():
        with (folder / NAME).open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def attached(cases: Sequence[Case], folder: Path) -> list[Case]:
    """Return the cases with their verdicts in `facts` and with the rival's answer. Unjudged cases are unchanged."""
    verdicts: dict[tuple[str, int], list[JudgeVerdict]] = defaultdict(list)
    rivals: dict[tuple[str, int], str | None] = {}
    for row in read(folder):
        key = (row["sample_id"], row["repeat"])
        verdicts[key].append(JudgeVerdict(**{name: row[name] for name in _VERDICT}))
        rivals[key] = row["rival_answer"]
    return [
        _with(case, tuple(verdicts[key]), rivals[key]) if (key := _key(case)) in verdicts else case for case in cases
    ]


def _key(case: Case) -> tuple[str, int]:
    return case.sample_id, case.repeat


def _with(case: Case, verdicts: tuple[JudgeVerdict, ...], rival: str | None) -> Case:
    return dataclasses.replace(case, rival=rival, facts={**case.facts, "verdicts": verdicts})
