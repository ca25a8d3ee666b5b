"""The engines that answer one job together: replicas of one spec, mostly one of them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.api import Endpoint, Engine, EngineSpec, EngineStats, Failure, Mark

_RATES = ("prefix_hit_rate", "mm_hit_rate")


class Fleet:
    """Engines of equal spec that look like one: alive while all are, with the sum of what they use.

    It closes nothing: the pool keeps its members for other jobs, also for those that want fewer of them.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        """Raise ValueError for none, or for engines that would not give the same answers."""
        if not engines or any(engine.spec != engines[0].spec for engine in engines):
            raise ValueError("a fleet has one engine or more, all of one spec")
        self.engines = tuple(engines)

    @property
    def spec(self) -> EngineSpec:
        """What each of them serves."""
        return self.engines[0].spec

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where they are asked, one each."""
        return tuple(engine.endpoint for engine in self.engines)

    @property
    def load_s(self) -> float | None:
        """The longest start; replicas start at the same time. Unknown is None."""
        times = [engine.load_s for engine in self.engines]
        return None if None in times else max(time for time in times if time is not None)

    @property
    def log_paths(self) -> tuple[Path, ...]:
        """Where their output is kept."""
        return tuple(engine.log_path for engine in self.engines if engine.log_path is not None)

    def alive(self) -> bool:
        """Whether all run."""
        return all(engine.alive() for engine in self.engines)

    def crash_report(self) -> Failure:
        """Say why the one that died did."""
        dead = [engine for engine in self.engines if not engine.alive()]
        return (dead or self.engines)[0].crash_report()

    def mark(self) -> Mark:
        """Mark them all."""
        return Mark(time.monotonic(), {"marks": [engine.mark() for engine in self.engines]})

    def since(self, mark: Mark) -> EngineStats:
        """Return what all used since `mark`, together."""
        return together([engine.since(begun) for engine, begun in zip(self.engines, mark.state["marks"], strict=True)])


def together(stats: Sequence[EngineStats]) -> EngineStats:
    """Join what engines used at the same time: memory and energy add up, hit rates are averaged. Unknown stays so."""
    if len(stats) == 1:
        return stats[0]
    joined: dict[str, Any] = {}
    for field in dataclasses.fields(EngineStats):
        values = [getattr(each, field.name) for each in stats]
        if field.name in ("facts", "notes"):
            continue
        if None in values:
            joined[field.name] = None
        else:
            joined[field.name] = sum(values) / (len(values) if field.name in _RATES else 1)
    notes = dict.fromkeys(note for each in stats for note in each.notes)
    summed = f"memory and energy are summed over {len(stats)} replicas; peaks may not have been at the same moment"
    return EngineStats(**joined, facts=stats[0].facts, notes=(*notes, summed))
