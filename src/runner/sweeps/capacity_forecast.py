"""What searches for the highest rate (`load=capacity`) will ask beyond the questions, for `plan=dry`.

A search is a walk: each rate that holds or does not leads to the next one (`sustainable.after`). So the most that it
can take is that of the worst of all walks. What is likely is the mean over walks of which each ends at another rate,
all of them as likely. Rates that the store has are looked up, and their walks go on from there.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from runner.asking import sustainable
from runner.asking.questions import Generated
from runner.asking.sustainable import Judged, Ladder, Look
from runner.jobs.figures import Seen
from runner.planning.capacity import Search
from runner.planning.job import Job
from runner.store import Shelf
from runner.sweeps import capacity

# Where the highest rate is looked for by the likely walks: from a fourth of the rate at which answers came in the
# closed part to 16 times it. That is usually one request at a time, and engines that batch carry several times as much.
BELOW, ABOVE = 4.0, 16.0


@dataclass(frozen=True)
class Foretold:
    """What one search will ask. `rates` and `requests` count those that the store lacks; `stored_rates` those it has.

    `likely_` is the mean of the likely walks; `rates` and `requests` are those of the worst, `longest_s` is the longest
    time of the likely ones. Seconds contain the waits for the last answers of each look. What is not known is None.
    `hopeless`: not even one request at a time keeps the objective, so nothing is asked. `is_estimate`: the closed part
    is not in the store, so the first rate and the lengths of the looks are estimated from other answers, or not known.
    """

    rates: int
    likely_rates: float | None
    stored_rates: int
    requests: int
    likely_requests: float | None
    likely_s: float | None
    longest_s: float | None
    is_estimate: bool
    hopeless: bool = False


NOTHING = Foretold(0, 0.0, 0, 0, 0.0, 0.0, 0.0, is_estimate=False, hopeless=True)


def foretell(
    job: Job, shelf: Shelf, asked: Generated, seen: Seen, took: Sequence[float], *, is_whole: bool
) -> Foretold | None:
    """Return what the search of a job will ask; None where it has none.

    `asked` and `seen` are what the store has of its closed part, which `is_whole` if nothing of that is left to ask.
    `took` are latencies of the same engine in seconds, from which what is not stored is estimated.
    """
    search = job.capacity
    if search is None:
        return None
    is_whole = is_whole and asked.timed and bool(seen.latencies)
    if is_whole:
        if capacity.is_hopeless(job, search, asked, seen):
            return NOTHING
        usual: float | None = capacity.first_rate(asked, seen)
        latencies = list(seen.latencies)
    elif took:
        usual, latencies = job.config.concurrency / statistics.fmean(took), list(took)
    else:
        usual, latencies = job.config.load.rate, []
    first = job.config.load.rate or usual
    if first is None or usual is None:  # only what holds for any rate
        rates, most = search.steps, search.steps * search.rule.looks * search.most
        return Foretold(rates, None, 0, most, None, None, None, is_estimate=True)
    longest_s = capacity.longest_wait_s(search, latencies)
    walks = _Walks(job, search, shelf if is_whole else None, first, usual, longest_s)
    return walks.foretold(is_estimate=not is_whole)


class _Cost(NamedTuple):
    """What walking from one rung to the end takes."""

    rates: float = 0
    requests: float = 0
    seconds: float = 0.0


class _Walks:
    """All walks that one search may take from a `first` rate on.

    `shelf` is where looks may be stored; None: nowhere. `usual` is the rate around which the highest one likely lies.
    """

    def __init__(
        self, job: Job, search: Search, shelf: Shelf | None, first: float, usual: float, longest_s: float
    ) -> None:
        self._job, self._search, self._shelf = job, search, shelf
        self._longest_s, self._ladder = longest_s, Ladder(search.rule.resolution)
        self._ceiling = self._ladder.at_most(search.highest(longest_s))
        self._usual = self._ladder.at_most(usual)
        self._first = min(self._ladder.at_most(first), self._ceiling)
        self._stored = functools.cache(self._look_up)
        self._most = functools.cache(self._most_from)

    def foretold(self, *, is_estimate: bool) -> Foretold:
        """Return the most that the walks take, and the mean of the likely ones."""
        low, high, known = self._known()
        most = self._most(None, None, self._first, self._search.steps)
        likely = [self._walked(highest) for highest in self._likely(low, high)]
        return Foretold(
            rates=int(most.rates),
            likely_rates=statistics.fmean(one.rates for one in likely),
            stored_rates=known,
            requests=int(most.requests),
            likely_requests=statistics.fmean(one.requests for one in likely),
            likely_s=statistics.fmean(one.seconds for one in likely),
            longest_s=max(one.seconds for one in likely),
            is_estimate=is_estimate,
        )

    def _look_up(self, rung: int) -> tuple[int, Judged | None]:
        """Return how many looks at a rung are stored, and what they say of it; None where it is not decided."""
        judged: Judged | None = None
        looks: list[Look] = []
        if self._shelf is None:
            return 0, None
        rate, count = self._ladder.rate(rung), self._count(rung)
        while judged is None or judged.verdict == "undecided":
            name = self._search.condition(rate, len(looks) + 1, count)
            if (written := capacity.stored_look(self._job, self._shelf, name)) is None:
                return len(looks), None
            try:
                looks.append(capacity.read_look(written, self._search.rule))
            except capacity.Unknown:
                return len(looks), None
            judged = sustainable.judge(looks, self._search.rule)
        return len(looks), judged

    def _count(self, rung: int) -> int:
        return min(self._search.count(self._ladder.rate(rung), self._longest_s), self._search.most)

    def _known(self) -> tuple[int | None, int | None, int]:
        """Return the bracket to which the stored rates lead, and how many they are."""
        low = high = None
        rung: int | None = self._first
        for number in range(self._search.steps):
            if rung is None or (judged := self._stored(rung)[1]) is None:
                return low, high, number
            low, high = (rung, high) if judged.verdict == "holds" else (low, rung)
            rung = self._after(low, high, judged)
        return low, high, self._search.steps

    def _likely(self, low: int | None, high: int | None) -> range:
        """Return the rungs of which each may be the highest that holds, within the bracket that is known."""
        lowest = self._usual - round(math.log(BELOW) / math.log1p(self._ladder.resolution))
        highest = self._usual + round(math.log(ABOVE) / math.log1p(self._ladder.resolution))
        if low is not None:
            lowest, highest = low, max(low, highest)
        if high is not None:
            lowest, highest = min(lowest, high - 1), high - 1
        return range(min(lowest, self._ceiling), min(highest, self._ceiling) + 1)

    def _after(self, low: int | None, high: int | None, judged: Judged | None) -> int | None:
        """Return the next rung; None where the search ends. `judged`: what the store says of the last one."""
        if judged is not None and low is None and judged.in_flight < sustainable.ALONE:
            return None
        following = sustainable.after(low, high, self._ceiling, self._ladder)
        return following if isinstance(following, int) else None

    def _most_from(self, low: int | None, high: int | None, rung: int, steps: int) -> _Cost:
        """Return the most rates and requests of a walk that is at a rung and has so many steps left."""
        looked, judged = self._stored(rung)
        rates = int(judged is None)
        requests = rates * (self._search.rule.looks - looked) * self._count(rung)
        ends = []
        for way in ("holds", "fails") if judged is None else (judged.verdict,):
            now_low, now_high = (rung, high) if way == "holds" else (low, rung)
            following = self._after(now_low, now_high, judged) if steps > 1 else None
            ends.append(_Cost() if following is None else self._most(now_low, now_high, following, steps - 1))
        return _Cost(rates + max(one.rates for one in ends), requests + max(one.requests for one in ends))

    def _walked(self, highest: int) -> _Cost:
        """Return what the walk takes that ends at `highest`.

        The two rates beside the limit take half of the looks that they may have on average, others one. While more
        requests come than the limit allows, the look lasts until they are answered, at no more than the limit.
        """
        rates, requests, seconds = 0, 0.0, 0.0
        low = high = None
        rung: int | None = self._first
        for _ in range(self._search.steps):
            if rung is None:
                break
            looked, judged = self._stored(rung)
            holds = rung <= highest if judged is None else judged.verdict == "holds"
            if judged is None:
                usual = (1 + self._search.rule.looks) / 2 if rung in (highest, highest + 1) else 1.0
                looks = max(1.0, usual - looked)
                each_s = self._count(rung) / self._ladder.rate(min(rung, highest + 1)) + self._longest_s
                rates, requests, seconds = rates + 1, requests + looks * self._count(rung), seconds + looks * each_s
            low, high = (rung, high) if holds else (low, rung)
            rung = self._after(low, high, judged)
        return _Cost(rates, requests, seconds)


LEGEND = (
    "load=capacity: after its questions each job looks for its highest rate, with the engine that is there. A figure "
    "is the likely one, in brackets the most. Likely: the highest rate lies between a quarter of the rate at which the "
    "questions are answered and 16 times it, all as likely. The most: rates and requests of the worst course of a "
    "search (load.steps, load.looks), without retries and warm-ups; the longest likely time; the likely cost of an "
    "answer for all of these requests"
)
ESTIMATED = (
    "~ until its questions were asked, a job's first rate and the lengths of its looks are estimated, or not known"
)


def cells(one: Foretold) -> tuple[str, str, str]:
    """Return a search's rates in the store, rates to try and requests, as cells of a table."""
    if one.hopeless:
        return "–", "none: not even one request at a time keeps report.slo", "0"
    if one.likely_rates is None or one.likely_requests is None:
        return str(one.stored_rates), f"unknown (at most {one.rates})", f"unknown (at most {one.requests:,})"
    sign = "~" if one.is_estimate else ""
    return (
        str(one.stored_rates),
        f"{sign}{one.likely_rates:.1f} (at most {one.rates})",
        f"{sign}{one.likely_requests:,.0f} (at most {one.requests:,})",
    )
