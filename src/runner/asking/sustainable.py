"""Whether a rate of requests is sustainable, and which rate to try next: the rule of `load=capacity`, without any I/O.

A rate is looked at by open loads, one after the other, each with random times and questions of its own. After each one
it *holds*, it *fails*, or that is not decided yet:

- It holds if the share of requests within each limit of `report.slo` is, by the lower end of a confidence interval, at
  least what the limit's percentile asks for (95% for `latency/p95_s`), and the engine kept up: in the settled parts
  of the loads at most half of `resolution` more requests came than ended.
- It fails if the upper end of such an interval lies below that share, or if the engine died.
- Otherwise it is looked at again. After the last look the shares themselves decide, and the rate is marked as one
  that lies too near to the limit for these looks.

The interval is that of Clopper and Pearson (Biometrika 26, 1934), as in the early stopping of MLPerf Inference
(mlcommons/inference, loadgen/early_stopping.cc). That one takes requests for independent; in a queue they are not, so
the number of requests is divided by the design effect, found from the means of batches of neighbouring requests
(batch means: Law, Simulation Modeling and Analysis, 9.5.3; effective sizes in this interval: Korn and Graubard, Survey
Methodology 24, 1998). An error is divided by the number of looks (Bonferroni), since each look may decide.

To repeat a look until its test decides, and then to halve the bracket, is bisection with noisy responses (Waeber,
Frazier and Henderson, SIAM Journal on Control and Optimization 51, 2013). Rates lie on one ladder for all candidates,
each `resolution` above the one before, so that the same rates are compared, and found in the store.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from scipy.special import betaincinv

from runner.planning.arrivals import SETTLE_SHARE
from runner.planning.capacity import Rule

KEEPS_UP = 0.5  # of the resolution: by which share more requests may come than end
BATCHES = 10  # of neighbouring requests, in each look
ALONE = 0.25  # requests under way on average: with fewer it is the answer that takes too long, and not a queue
DOUBLE = 2.0  # how far apart rates are until one holds and another does not
Verdict = Literal["holds", "fails", "undecided"]
Ending = Literal["found", "steps", "ceiling", "alone", "never", "unknown"]


class Sent(NamedTuple):
    """One request of a look: when it was due and when it ended, in seconds from the start.

    `times` are the seconds that each limit of the objective limits, by its name; None: it failed.
    """

    due_s: float
    ended_s: float
    times: Mapping[str, float] | None


@dataclass(frozen=True)
class Look:
    """One open load at a rate: what became of its requests, in the order in which they were due.

    `length_s` is when the sending was over. `died`: the engine did not survive it. `late_share` is the share of
    requests that left late on our side, while fewer were under way than `load.max_in_flight` allows.
    """

    length_s: float
    sent: Sequence[Sent]
    died: bool = False
    late_share: float = 0.0

    @property
    def settled(self) -> list[Sent]:
        """Return the requests that were due when the load had settled."""
        return [one for one in self.sent if one.due_s >= SETTLE_SHARE * self.length_s]


@dataclass(frozen=True)
class Judged:
    """What the looks at one rate say.

    `share` of the requests in the settled parts kept all limits; of the limit that is kept worst in comparison with
    its share, `worst` is the name, `low` and `high` are the interval. `shown`: intervals decided, not shares
    alone. `behind` is the share of requests that came and did not end within the settled parts, and `in_flight` how
    many were under way on average (rate times latency).
    """

    verdict: Verdict
    shown: bool
    share: float
    worst: str
    low: float
    high: float
    behind: float
    in_flight: float
    requests: int
    died: bool


def judge(looks: Sequence[Look], rule: Rule) -> Judged:
    """Return what the looks at one rate say of it."""
    settled = [look.settled for look in looks]
    flat = [one for part in settled for one in part]
    ends = {name: _interval(settled, name, rule) for name in rule.limits}
    worst = min(ends, key=lambda name: ends[name][0] - rule.shares[name])
    behind = sum(len(part) - _ended(look) for look, part in zip(looks, settled, strict=True)) / len(flat)
    died = any(look.died for look in looks)
    length_s = sum((1 - SETTLE_SHARE) * look.length_s for look in looks)
    keeps_up = behind <= KEEPS_UP * rule.resolution
    verdict: Verdict = "undecided"
    if died or any(high < rule.shares[name] for name, (_, _, high) in ends.items()):
        verdict = "fails"
    elif all(low >= rule.shares[name] for name, (low, _, _) in ends.items()) and keeps_up:
        verdict = "holds"
    shown = verdict != "undecided"
    if not shown and len(looks) >= rule.looks:
        kept = keeps_up and all(share >= rule.shares[name] for name, (_, share, _) in ends.items())
        verdict = "holds" if kept else "fails"
    good = sum(all(_keeps(one, name, rule) for name in rule.limits) for one in flat)
    in_flight = sum(one.ended_s - one.due_s for one in flat) / length_s
    low, _, high = ends[worst]
    return Judged(verdict, shown, good / len(flat), worst, low, high, behind, in_flight, len(flat), died)


def _keeps(one: Sent, name: str, rule: Rule) -> bool:
    return one.times is not None and one.times[name] <= rule.limits[name]


def _ended(look: Look) -> int:
    """Count the requests that ended in the settled part of a look, also those that were due before."""
    begin = SETTLE_SHARE * look.length_s
    return sum(begin <= one.ended_s < look.length_s for one in look.sent)


def _interval(looks: Sequence[Sequence[Sent]], name: str, rule: Rule) -> tuple[float, float, float]:
    """Return the share of requests that keep a limit between the ends of its interval."""
    kept = [[_keeps(one, name, rule) for one in look] for look in looks]
    asked = sum(map(len, kept))
    share = sum(map(sum, kept)) / asked
    independent = asked / _design_effect(kept, share)
    good, bad = share * independent, (1 - share) * independent
    low = 0.0 if good == 0 else float(betaincinv(good, bad + 1, rule.error))
    return low, share, upper(good, independent, rule.error)


def upper(good: float, asked: float, error: float) -> float:
    """Return the upper end of the interval of Clopper and Pearson for a share, which errs with this probability."""
    return 1.0 if good >= asked else float(betaincinv(good + 1, asked - good, 1 - error))


def _design_effect(kept: Sequence[Sequence[bool]], share: float) -> float:
    """Return how much larger the variance of a share is than that of as many independent requests; at least 1."""
    if share in (0.0, 1.0):
        return 1.0
    batches = [batch for look in kept for batch in _batches(look)]
    between = sum(len(batch) * (sum(batch) / len(batch) - share) ** 2 for batch in batches) / (len(batches) - 1)
    return max(1.0, between / (share * (1 - share)))


def _batches(look: Sequence[bool]) -> list[Sequence[bool]]:
    ends = [round(number * len(look) / BATCHES) for number in range(BATCHES + 1)]
    return [look[begin:end] for begin, end in itertools.pairwise(ends) if end > begin]


@dataclass(frozen=True)
class Ladder:
    """The rates that are tried: each is `resolution` above the one before, and rung 0 is one request a second."""

    resolution: float

    def rate(self, rung: int) -> float:
        """Return a rung's rate in requests per second, to four digits."""
        return float(f"{(1 + self.resolution) ** rung:.4g}")

    def at_most(self, rate: float) -> int:
        """Return the highest rung whose rate is at most this one."""
        rung = math.floor(math.log(rate) / math.log1p(self.resolution)) + 1
        while self.rate(rung) > rate:
            rung -= 1
        return rung

    @property
    def doubling(self) -> int:
        """Return how many rungs are a rate twice as high."""
        return max(1, round(math.log(DOUBLE) / math.log1p(self.resolution)))


@dataclass(frozen=True)
class Outcome:
    """What a search found: the highest rung that holds, and the lowest above it that does not.

    `ending` says why it ended: `found`: they are neighbours. `steps`: there were no more steps. `ceiling`: the highest
    rung that can be measured holds. `alone`: a rung fails at which requests hardly meet. `never`: not even one request
    at a time keeps the objective. `unknown`: a time that is limited is not known.
    """

    low: int | None
    high: int | None
    ending: Ending


def search(first: int, ceiling: int, ladder: Ladder, steps: int) -> Generator[int, Judged, Outcome]:
    """Yield rungs and take what is found there, until neighbours differ.

    Rates double from `first` on until one does not hold, or halve until one does; then the bracket is halved.
    """
    low: int | None = None
    high: int | None = None
    rung = min(first, ceiling)
    for _ in range(steps):
        judged = yield rung
        if judged.verdict == "holds":
            low = rung
        else:
            high = rung
            if low is None and judged.in_flight < ALONE:
                return Outcome(None, high, "alone")
        following = after(low, high, ceiling, ladder)
        if not isinstance(following, int):
            return Outcome(low, high, following)
        rung = following
    return Outcome(low, high, "steps")


def after(low: int | None, high: int | None, ceiling: int, ladder: Ladder) -> int | Ending:
    """Return which rung is tried next where `low` holds and `high` does not, or why none is; not both are None."""
    if low is not None and low >= ceiling:
        return "ceiling"
    if low is not None and high is not None and high - low == 1:
        return "found"
    if low is None:
        assert high is not None
        return high - ladder.doubling
    return min(low + ladder.doubling, ceiling) if high is None else (low + high) // 2
