"""The load's part of a config (`load.*`): when requests are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from runner.base.errors import Problem
from runner.config.values import one_of, within

CLOSED = "closed"


@dataclass
class LoadConfig:
    """When requests are sent; docs/load.md explains it. Each file in conf/load/ sets these keys."""

    name: str = MISSING
    arrivals: str = one_of(
        CLOSED, CLOSED, "constant", "poisson", "trace"
    )  # closed: when an answer came; the others are open loads: when it is due, whatever is under way
    rate: float | None = within(None, 0.0001, 10000)  # requests per second; with a trace: its times are stretched to it
    duration_s: float | None = within(None, 0.001)  # for how many seconds requests are sent; null: until all were asked
    # what is due in so many seconds from the start is answered and not measured; null: a tenth of the load's length
    settle_s: float | None = within(None, 0)
    max_in_flight: int = within(256, 1, 10000)  # what is due while so many requests are under way waits, and says so
    path: str | None = None  # with load=trace: a .csv file with the column arrival_s or timestamp
    seed: int = 0  # of the random times of load=poisson


def load_problems(cfg: Any) -> Iterator[Problem]:
    """Yield what is wrong with the settings of a load: those of a Config, or of a composed DictConfig."""
    load = cfg.load
    if load.arrivals == CLOSED:
        for key in ("rate", "duration_s", "settle_s", "path"):
            if load[key] is not None:
                what = "a closed load asks as fast as answers come, so this says nothing"
                yield Problem(what, f"load.{key}", "load=constant or load=poisson sends requests at a rate")
        return
    if load.arrivals == "trace":
        if load.path is None:
            yield Problem("a trace needs a table of arrival times", "load.path", "load.path=FILE.csv")
    elif load.path is not None:
        yield Problem(f"load={load.arrivals} reads no table", "load.path", "load=trace, or leave it out")
    if load.arrivals != "trace" and load.rate is None:
        yield Problem("an open load needs a rate", "load.rate", "requests per second, such as load.rate=2")
    if cfg.concurrency > 1:
        what = f"load={load.arrivals} sends requests when they are due and not when an answer came"
        yield Problem(what, "concurrency", "leave it out; load.max_in_flight limits the requests under way")
