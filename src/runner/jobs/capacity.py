"""The highest sustainable rate that a search found, as figures, as notes and as the file capacity.json.

A capacity is reported only where it was bracketed to the resolution: one rate holds, and the next does not. Else there
are bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.asking.sustainable import Judged, Ladder, Look, Outcome
from runner.jobs.costs import PAGES, PER_PAGES, Costs
from runner.jobs.costs import figures as cost_figures
from runner.planning.capacity import Search
from runner.planning.prices import Price

LATE = 0.01  # share of requests that left late on our side, above which a rate that fails may be our own fault


@dataclass(frozen=True)
class Step:
    """One rate that was tried, in requests per second: its looks, and what they say of it."""

    rate: float
    looks: Sequence[Look]
    judged: Judged

    def described(self, shares: Mapping[str, float]) -> dict[str, Any]:
        """Return it for capacity.json: `shares` are those of the limits, whose percentiles are told in seconds."""
        judged, sent = self.judged, [one for look in self.looks for one in look.settled]
        percentiles = {}
        for name, share in shares.items():
            times = [math.inf if one.times is None else one.times[name] for one in sent]
            value = float(np.percentile(times, 100 * share, method="higher"))  # no mean of a time and of a failure
            percentiles[name] = value if math.isfinite(value) else None  # so many failed
        return {
            "requests_per_s": self.rate,
            "verdict": judged.verdict,
            "shown": judged.shown,
            "looks": len(self.looks),
            "requests": sum(len(look.sent) for look in self.looks),
            "settled_requests": judged.requests,
            "share": judged.share,
            "decisive_limit": judged.worst,
            "decisive_low": judged.low,
            "decisive_high": judged.high,
            "percentiles_s": percentiles,
            "goodput_per_s": judged.share * self.rate,
            "behind_share": judged.behind,
            "in_flight_mean": judged.in_flight,
            "late_share": max(look.late_share for look in self.looks),
            "died": judged.died,
        }


@dataclass(frozen=True)
class Found:
    """What a search found; rates are those of all engines of a job, of which there are `replicas`."""

    search: Search
    replicas: int
    steps: Sequence[Step]
    outcome: Outcome
    highest: float  # rate that the dataset is large enough for
    may_remember: bool = True  # pictures or beginnings of prompts: an endpoint, or an engine that was told to
    unknown: str = ""  # the limit whose time is not known of an answer

    @property
    def ladder(self) -> Ladder:
        """Return the rates of which some were tried."""
        return Ladder(self.search.rule.resolution)

    @property
    def holds(self) -> float | None:
        """Return the highest rate that holds, in requests per second."""
        return None if self.outcome.low is None else self.ladder.rate(self.outcome.low)

    @property
    def fails(self) -> float | None:
        """Return the lowest rate above it that does not hold."""
        return None if self.outcome.high is None else self.ladder.rate(self.outcome.high)

    def described(self) -> dict[str, Any]:
        """Return the content of capacity.json."""
        search, rule = self.search, self.search.rule
        return {
            "ending": self.outcome.ending,
            "holds_per_s": self.holds,
            "fails_per_s": self.fails,
            "objective": dict(rule.limits),
            "shares": dict(rule.shares),
            "resolution": rule.resolution,
            "confidence": rule.confidence,
            "most_looks": rule.looks,
            "picture_repeats": search.picture_repeats,
            "replicas": self.replicas,
            "pages_per_request": search.pages_per_request,
            "highest_measurable_per_s": self.highest,
            "steps": [step.described(rule.shares) for step in sorted(self.steps, key=lambda step: step.rate)],
        }


def figures(found: Found, used: Costs, price: Price | None, usd_per_hour: float | None) -> dict[str, float]:
    """Return the metrics of a search, rates for one engine: requests per second, pages per hour, USD for 1,000 pages.

    `used` are the tokens of the job's answers, `usd_per_hour` the price of all its engines.
    """
    values = {
        "capacity/steps": float(len(found.steps)),
        "capacity/requests": float(sum(len(look.sent) for step in found.steps for look in step.looks)),
    }
    holds, fails, engines = found.holds, found.fails, found.replicas
    if found.outcome.ending != "found" or holds is None:
        for bound, rate in (("at_least", holds), ("below", fails)):
            if rate is not None:
                values[f"capacity/{bound}_requests_per_second"] = rate / engines
                if pages := 3600 * rate * found.search.pages_per_request:
                    values[f"capacity/{bound}_pages_per_hour"] = pages / engines
        return values
    values["capacity/requests_per_second"] = holds / engines
    if pages_per_hour := 3600 * holds * found.search.pages_per_request:
        values["capacity/pages_per_hour"] = pages_per_hour / engines
        if (usd := _usd(used, price, usd_per_hour, pages_per_hour)) is not None:
            values[f"capacity/usd_per_{PAGES}_pages"] = usd
    return values


def _usd(used: Costs, price: Price | None, usd_per_hour: float | None, pages_per_hour: float) -> float | None:
    """Return USD for 1,000 pages at a rate: hours by the rate, tokens as counted. None where a part isn't known."""
    if price is None and usd_per_hour is None:
        return None
    usd = 0.0 if usd_per_hour is None else PAGES * usd_per_hour / pages_per_hour
    if price is None:
        return usd
    tokens = cost_figures(used, price, None, None).get(PER_PAGES)
    return None if tokens is None else usd + tokens


def notes(found: Found) -> Iterator[str]:
    """Yield what a reader of the capacity must know."""
    yield _ending(found)
    outcome, rule = found.outcome, found.search.rule
    borders = [step for step in found.steps if step.rate in (found.holds, found.fails)]
    if outcome.ending == "found" and (near := [step for step in borders if not step.judged.shown]):
        rates = " and ".join(f"{step.rate:g}/s" for step in near)
        yield (
            f"capacity: {rates} lies so near to the limit that {rule.looks} looks did not decide; the shares alone "
            "did (load.looks, load.requests: more of them decide more)"
        )
    if any(step.rate == found.fails and _late(step) for step in borders):
        yield f"capacity: at {found.fails:g}/s requests left over 10 ms late on our side: the engine may carry more"
    if found.search.picture_repeats > 1 and found.may_remember:
        yield (
            f"capacity: one look sent a picture up to {found.search.picture_repeats}x (load.picture_repeats): where "
            "pictures, or beginnings of prompts, are kept, answers come sooner than users get them who send others"
        )
    if found.replicas > 1:
        yield f"capacity: rates were offered to {found.replicas} engines together; the figures are for one of them"


def _late(step: Step) -> bool:
    return any(look.late_share > LATE for look in step.looks)


def _ending(found: Found) -> str:
    """Say in a sentence what was found."""
    holds, fails, objective = found.holds, found.fails, _objective(found.search.rule.limits)
    ending = found.outcome.ending
    if ending == "found":
        return f"capacity: {objective} holds at {holds:g} requests/s, and not at {fails:g}/s"
    if ending == "ceiling":
        return (
            f"capacity: at least {holds:g} requests/s, where {objective} still holds; the pictures are too few to "
            f"measure a higher rate (up to {found.highest:.3g}/s): a larger dataset, or load.picture_repeats"
        )
    if ending == "alone":
        return (
            f"capacity: below {fails:g} requests/s: {objective} does not even hold there, where requests hardly meet. "
            "It is the answer that takes too long, and not a queue"
        )
    if ending == "never":
        return f"capacity: none: {objective} does not even hold where one request is sent at a time"
    if ending == "unknown":
        return f"capacity: not known, since {found.unknown} is not known of some answers"
    bounds = [f"at least {holds:g} requests/s"] * (holds is not None) + [f"below {fails:g}/s"] * (fails is not None)
    return f"capacity: {' and '.join(bounds)}, and no nearer: load.steps={found.search.steps} rates were tried"


def _objective(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{name.removesuffix('_s').replace('/', ' ')} <= {limit:g} s" for name, limit in limits.items())
