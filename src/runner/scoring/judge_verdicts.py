"""Attaches what judges said of a job's answers to the cases, for the metric that makes scores of it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from metrics.api import Case
from metrics.judge import JudgeVerdict
from runner.jobs.folder import JobFolder

_VERDICT = tuple(field.name for field in dataclasses.fields(JudgeVerdict))


def attached(cases: Sequence[Case], folder: JobFolder) -> list[Case]:
    """Return the cases with their verdicts in `facts` and with the rival's answer. Unjudged cases are unchanged."""
    verdicts: dict[tuple[str, int], list[JudgeVerdict]] = defaultdict(list)
    rivals: dict[tuple[str, int], str | None] = {}
    for row in folder.verdicts():
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
