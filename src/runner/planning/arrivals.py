"""When the requests of an open load are due: at a constant rate, at random times, or at those of a table."""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner import store
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.config.load import CLOSED, LoadConfig
from runner.config.schema import MOST_REPEATS
from runner.datasets.paths import resolve
from runner.datasets.text_files import read_csv

SETTLE_SHARE = 0.1  # of the length of a load, in which an engine that was idle fills up
COLUMNS = ("arrival_s", "timestamp")
PROBLEMS = 5  # of a table that are named


@dataclass(frozen=True)
class Arrivals:
    """The times at which requests are due, in seconds from the start of a load.

    `count` requests are sent. Those that are due before `settle_s` are answered and not measured. While
    `max_in_flight` are under way, a request that is due waits on our side. `name` says in words what decides the times.
    """

    name: str
    count: int
    settle_s: float
    max_in_flight: int
    _times: Callable[[], Iterator[float]]

    def due(self) -> Iterator[float]:
        """Yield when each request is due, never fewer times than `count` and one more: when the sending is over."""
        return self._times()

    def length_s(self, count: int | None = None) -> float:
        """Return how long so many requests (None: all of them) take to be sent."""
        return next(itertools.islice(self.due(), self.count if count is None else count, None))


def planned(config: Config, questions: int) -> Arrivals | None:
    """Return the arrivals of a job with so many questions; None for a closed load.

    Raise Refused where there are fewer questions than requests: none is sent twice unless `sampling.repeats` says so.
    """
    load = config.load
    if load.arrivals == CLOSED:
        return None
    trace = _trace(load) if load.arrivals == "trace" else ()
    times = _times(load, trace)
    count = _count(load, trace, times, questions)
    if count > questions:
        least = math.ceil(count / max(questions, 1) * config.sampling.repeats)
        what = f"{count} requests are due, and there are {questions} questions"
        remedy = "a shorter load.duration_s"
        if least <= MOST_REPEATS:
            remedy = f"sampling.repeats={least} asks each question {least} times; or {remedy}"
        raise Refused(Problem(what, "load", remedy))
    due = list(itertools.islice(times(), count + 1))
    settle_s = SETTLE_SHARE * due[-1] if load.settle_s is None else load.settle_s
    if settle_s > due[-2]:
        what = f"all {count} requests are due in the first {settle_s:g} s, of which nothing is measured"
        raise Refused(Problem(what, "load.settle_s", "a smaller value, or a longer load"))
    return Arrivals(described(load), count, settle_s, load.max_in_flight, times)


def described(load: LoadConfig) -> str:
    """Return all that decides the times of an open load: a condition of its answers' timing."""
    named = {
        "rate": load.rate,
        "seed": load.seed if load.arrivals == "poisson" else None,
        "duration_s": load.duration_s,
        "settle_s": load.settle_s,
        "max_in_flight": load.max_in_flight,
        "trace": store.digest(list(_trace(load)))[:16] if load.arrivals == "trace" else None,
    }
    return " ".join([load.arrivals, *(f"{key}={value}" for key, value in named.items() if value is not None)])


def _times(load: LoadConfig, trace: tuple[float, ...]) -> Callable[[], Iterator[float]]:
    """Return what yields the times; each call begins anew."""
    if load.arrivals == "trace":
        # When the sending is over: one mean interval after the last request, as with a constant rate.
        return lambda: iter((*trace, trace[-1] * len(trace) / (len(trace) - 1)))
    assert load.rate is not None
    rate, seed = load.rate, load.seed
    if load.arrivals == "constant":
        return lambda: (number / rate for number in itertools.count())

    def drawn() -> Iterator[float]:
        intervals = random.Random(seed)  # noqa: S311 - arrival times are no secret
        return itertools.accumulate((intervals.expovariate(rate) for _ in itertools.count()), initial=0.0)

    return drawn


def _count(load: LoadConfig, trace: tuple[float, ...], times: Callable[[], Iterator[float]], questions: int) -> int:
    """Return how many requests are sent; where that is more than there are questions, perhaps only so many."""
    if (duration_s := load.duration_s) is None:
        return len(trace) or questions
    due = itertools.takewhile(lambda time: time < duration_s, trace or times())
    return sum(1 for _ in due)


def _trace(load: LoadConfig) -> tuple[float, ...]:
    """Return the arrival times of a table in seconds, from 0 on. Raise Refused for what is no such table."""
    path = resolve(load.path, "load.path", paths.root())
    content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    return _read_trace(path, content, load.rate)


@functools.lru_cache(maxsize=4)
def _read_trace(path: Path, _digest: str | None, rate: float | None) -> tuple[float, ...]:
    """Read a table of this digest: each job of a sweep asks for it several times."""
    table = read_csv(path, "a table of arrival times")
    known = {name.lower(): name for name in table.header}
    column = next((known[name] for name in COLUMNS if name in known), None)
    if column is None:
        what = f"there is no column {' or '.join(COLUMNS)}; there are: {', '.join(table.header)}"
        raise Refused(Problem(what, table.where, "arrival_s: seconds; timestamp: seconds, or 2026-11-28 09:30:00.5"))
    lines = list(table.lines([column]))
    read = [line if isinstance(line, Problem) else _time(line.texts[column], line.where) for line in lines]
    if problems := [item for item in read if isinstance(item, Problem)]:
        raise Refused(problems[:PROBLEMS])
    times = sorted(item for item in read if not isinstance(item, Problem))
    if len(times) < 2 or times[0] == times[-1]:
        raise Refused(Problem("a trace needs two different arrival times", table.where))
    stretch = 1.0
    if rate is not None:
        stretch = (len(times) - 1) / (times[-1] - times[0]) / rate
    return tuple((time - times[0]) * stretch for time in times)


def _time(text: str, where: str) -> float | Problem:
    """Read a number of seconds, or a time of day with its date."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = datetime.fromisoformat(text.strip()).timestamp()
        except ValueError:
            seconds = math.nan
    if math.isfinite(seconds):
        return seconds
    return Problem(
        f"{text!r} is no arrival time", where, "seconds such as 12.5, or a time such as 2026-11-28 09:30:00.5"
    )
