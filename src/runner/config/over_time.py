"""`repeats_over_time`: candidates are measured in turns, block by block, so that a machine that changes is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.base.errors import Problem
from runner.config.load import CLOSED

KEY, OFF = "repeats_over_time", "repeats_over_time=1"


def over_time_problems(cfg: Any) -> Iterator[Problem]:
    """Yield what doesn't go together with blocks over time: in a Config, or in a composed DictConfig."""
    if cfg.repeats_over_time == 1:
        return
    if cfg.race.active:
        yield Problem("a race asks in blocks of its own", KEY, f"race=false, or {OFF}")
    if cfg.load.arrivals != CLOSED:
        what = "an open load can't be cut into blocks: its latencies are those of one stretch of time"
        yield Problem(what, KEY, f"load=closed, or {OFF}")
    if cfg.backend.adapt_concurrency:
        what = "with backend.adapt_concurrency later blocks have other requests in flight than the first"
        yield Problem(what, KEY, f"a fixed concurrency, or {OFF}")
    if cfg.stage == "score":
        yield Problem("stage=score asks nothing that could be measured in blocks", KEY, f"leave it out, or {OFF}")
    if cfg.plan == "commands":
        what = "plan=commands hands out jobs one by one, and blocks of several candidates are asked in turns"
        yield Problem(what, KEY, f"leave out plan, or {OFF}")
    if cfg.reuse == "answers":
        yield Problem("reuse=answers reports no timing, and blocks are there for it", KEY, f"leave out reuse, or {OFF}")
