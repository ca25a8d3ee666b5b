"""The race's part of a config (`race.*`): whether a sweep stops asking a candidate that is shown to be worse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from runner.base.errors import Problem
from runner.config.load import CLOSED
from runner.config.values import within


@dataclass
class RaceConfig:
    """Whether candidates race; docs/racing.md explains it. Each file in conf/race/ sets these keys."""

    name: str = MISSING
    active: bool = False  # set by race=true
    error: float = within(0.05, 1e-06, 0.5)  # probability that the candidate that is best on all documents is stopped
    seed: int = 0  # of the random order of documents, which all candidates share
    # documents that each candidate is asked before they are compared again; null: by what it costs to change engines
    block: int | None = within(None, 1)


def race_problems(cfg: Any) -> Iterator[Problem]:
    """Yield what doesn't go together with a race: in a Config, or in a composed DictConfig."""
    race = cfg.race
    if not race.active:
        default = RaceConfig()
        for key in ("error", "seed", "block"):
            if race[key] != getattr(default, key):
                yield Problem("without a race this says nothing", f"race.{key}", "race=true, or leave it out")
        return
    if cfg.load.arrivals != CLOSED:
        what = "an open load can't be cut into blocks: its latencies are those of one stretch of time"
        yield Problem(what, "race", "load=closed, or race=false")
    if cfg.stage != "all":
        what = f"a race scores answers while it asks, and stage={cfg.stage} does one of the two"
        yield Problem(what, "race", "leave out stage, or race=false")
    if cfg.plan == "commands":
        what = "plan=commands hands out jobs one by one, and candidates of a race are compared while they are asked"
        yield Problem(what, "race", "race=false, or leave out plan")
