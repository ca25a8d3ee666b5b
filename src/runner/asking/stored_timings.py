"""What a whole job measured (wall time, counts, peaks): stored, and joined with what its earlier parts measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from backends.api import EngineStats
from runner.asking.load import Tally
from runner.planning.job import Job
from runner.store import Shelf


def keep(job: Job, shelf: Shelf, tally: Tally, stats: EngineStats, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Store what this job measured, joined with what it, or an interrupted run of it, had measured before."""
    measured = {**dataclasses.asdict(tally), "stats": dataclasses.asdict(stats)}
    if before is None and job.config.reuse != "never":
        before = shelf.measured(job.digest, job.conditions)
    if before is not None:
        measured = joined(before, measured)
    shelf.append_measured(job.digest, job.conditions, measured)
    return measured


def joined(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Join two measurements of parts of one job: times, counts and energy add up, peaks are the higher one."""
    stats = dict(now["stats"])
    for name, value in before["stats"].items():
        if isinstance(value, (int, float)):
            mine = stats.get(name)
            stats[name] = value if mine is None else max(value, mine)
    stats["energy_joules"] = _sum(before["stats"].get("energy_joules"), stats.get("energy_joules"))
    for name in ("prefix_hit_rate", "mm_hit_rate"):
        stats[name] = None  # of which part of the work each was is not known any more
    stats["notes"] = sorted({*before["stats"].get("notes", ()), *stats.get("notes", ())})
    sums = {name: _sum(before.get(name), now[name]) for name in now if name != "stats"}
    return {**sums, "stats": stats}


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second
