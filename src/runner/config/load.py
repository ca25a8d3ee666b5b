"""The load's part of a config (`load.*`): when requests are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from runner.base.errors import Problem
from runner.config.values import one_of, within

CLOSED = "closed"
CAPACITY = "capacity"  # a closed load, and then open loads at rates that are chosen as they go
OPEN = ("constant", "poisson", "trace")  # loads that are open from their first request on
PERCENTILE = re.compile(r"p(\d+)_s$")  # ends a limit's name: the share in percent that must keep it
SEARCH = ("requests", "resolution", "looks", "steps", "picture_repeats")  # keys that say something to a search alone


@dataclass
class LoadConfig:
    """When requests are sent; docs/load.md explains it. Each file in conf/load/ sets these keys."""

    name: str = MISSING
    arrivals: str = one_of(
        CLOSED, CLOSED, *OPEN, CAPACITY
    )  # closed: when an answer came; constant, poisson, trace: when it is due; capacity: both, to find the highest rate
    # requests per second; with a trace: its times are stretched to it; with load=capacity: where the search begins
    rate: float | None = within(None, 0.0001, 10000)
    duration_s: float | None = within(None, 0.001)  # for how many seconds requests are sent; null: until all were asked
    # what is due in so many seconds from the start is answered and not measured; null: a tenth of the load's length
    settle_s: float | None = within(None, 0)
    max_in_flight: int = within(256, 1, 10000)  # what is due while so many requests are under way waits, and says so
    path: str | None = None  # with load=trace: a .csv file with the column arrival_s or timestamp
    seed: int = 0  # of the random times of load=poisson and load=capacity
    # load=capacity: the fewest requests of one look at a rate; null: as many as the percentiles of report.slo need
    requests: int | None = within(None, 10, 1000000)
    resolution: float = within(0.1, 0.01, 1)  # load=capacity: neighbouring rates differ by this share
    looks: int = within(4, 1, 20)  # load=capacity: a rate is looked at so often before it counts as not shown to hold
    steps: int = within(12, 1, 100)  # load=capacity: so many rates are tried at most
    picture_repeats: int = within(1, 1, 10000)  # load=capacity: how often one look may send the same picture


def load_problems(cfg: Any) -> Iterator[Problem]:
    """Yield what is wrong with the settings of a load: those of a Config, or of a composed DictConfig."""
    load = cfg.load
    if load.arrivals == CAPACITY:
        yield from _capacity_problems(cfg)
        return
    defaults = LoadConfig()
    for key in SEARCH:
        if load[key] != getattr(defaults, key):
            yield Problem("only a search for the highest rate has it", f"load.{key}", "load=capacity, or leave it out")
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


def _capacity_problems(cfg: Any) -> Iterator[Problem]:
    """Yield what is wrong with the settings of a search for the highest rate."""
    for key in ("duration_s", "settle_s", "path"):
        if cfg.load[key] is not None:
            what = "a search for the highest rate decides by itself how long each load is"
            yield Problem(what, f"load.{key}", "leave it out; load.requests is the number of requests of a load")
    percentiles = "such as report.slo={latency/p95_s: 3}"
    if not cfg.report.slo:
        yield Problem("the highest rate is the highest at which an objective is kept", "report.slo", percentiles)
    for name in cfg.report.slo:
        if PERCENTILE.search(name) is None:
            what = "a mean tells no share of the requests that must keep it, so no rate can be shown to hold"
            yield Problem(what, f"report.slo.{name}", f"a percentile, {percentiles}")
    if cfg.stage == "score":
        yield Problem("a search for the highest rate asks an engine", "load", "load=closed with stage=score")
