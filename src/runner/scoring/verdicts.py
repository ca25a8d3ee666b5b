"""What judges said of the answers of a job, for the metric that makes scores of it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from metrics.api import Case
from metrics.judge import Verdict
from runner.jobs.folder import JobFolder

_VERDICT = tuple(field.name for field in dataclasses.fields(Verdict))


def attached(cases: Sequence[Case], folder: JobFolder) -> list[Case]:
    """Return cases with what judges said of them and the answers they were compared with, where there is such."""
    found: dict[tuple[str, int], list[Verdict]] = defaultdict(list)
    rivals: dict[tuple[str, int], str | None] = {}
    for row in folder.verdicts():
        key = (row["sample_id"], row["repeat"])
        found[key].append(Verdict(**{name: row[name] for name in _VERDICT}))
        rivals[key] = row["rival_answer"]
    return [_with(case, tuple(found[key]), rivals[key]) if (key := _key(case)) in found else case for case in cases]


def _key(case: Case) -> tuple[str, int]:
    return case.sample_id, case.repeat


def _with(case: Case, verdicts: tuple[Verdict, ...], rival: str | None) -> Case:
    return dataclasses.replace(case, rival=rival, facts={**case.facts, "verdicts": verdicts})
