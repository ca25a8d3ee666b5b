"""How often a search for the highest rate ends away from the truth: simulated queues, no sockets and no engine.

    python benchmarks/capacity_search.py [--searches 200] [--looks 4] [--requests 445] [--resolution 0.1]

Each case is a queue with random arrivals whose true capacity is found first, from long simulations: the highest rate at
which 95% of the requests end within the limit. Then searches with the rule and the lengths of `load=capacity` begin at
a random rate, and what each reports is compared with the truth.
"""

from __future__ import annotations

import argparse
import functools
import heapq
import math
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from parts.limits import Limit, tell

from runner.asking.sustainable import Judged, Ladder, Look, Outcome, Sent, judge, search
from runner.planning.capacity import Rule, Search

sys.path.insert(0, str(Path(__file__).parent))
NAME, SHARE = "latency/p95_s", 0.95
LONG = 400_000  # requests of a simulation that is taken for the truth
Service = Callable[[random.Random], float]  # draws the seconds that an answer takes


@dataclass(frozen=True)
class Case:
    """A queue before so many servers, and the limit of 95% of its latencies, in seconds."""

    name: str
    servers: int
    service: Service
    mean_s: float
    limit_s: float


CASES = (
    Case("1 server, always 0.1 s, limit 0.3 s", 1, lambda _: 0.1, 0.1, 0.3),
    Case("1 server, exponential, limit 1 s", 1, lambda draw: draw.expovariate(10), 0.1, 1.0),
    Case("4 servers, always 0.1 s, limit 0.4 s", 4, lambda _: 0.1, 0.1, 0.4),
    Case("4 servers, exponential, limit 0.5 s", 4, lambda draw: draw.expovariate(10), 0.1, 0.5),
    Case("8 servers, always 0.1 s, limit 0.2 s", 8, lambda _: 0.1, 0.1, 0.2),
    Case("8 servers, log-normal, limit 1 s", 8, lambda draw: draw.lognormvariate(-2.6, 0.8), math.exp(-2.28), 1.0),
    Case("4 servers, always 0.1 s, limit 3 s", 4, lambda _: 0.1, 0.1, 3.0),
)


def simulate(case: Case, times: list[float], length_s: float, draw: random.Random) -> Look:
    """Return what becomes of requests at these times: each takes the server that is free first."""
    free = [0.0] * case.servers
    sent = []
    for due_s in times:
        begin = max(due_s, heapq.heappop(free))
        end = begin + case.service(draw)
        heapq.heappush(free, end)
        sent.append(Sent(due_s, end, {NAME: end - due_s}))
    return Look(length_s, sent)


@functools.cache
def truth(case: Case) -> float:
    """Return the highest rate at which the share within the limit is 95%, to 0.2%."""
    low, high = 0.05 * case.servers / case.mean_s, 1.02 * case.servers / case.mean_s
    while high > 1.002 * low:
        rate, draw = math.sqrt(low * high), random.Random(5)
        length_s = LONG / rate
        look = simulate(case, sorted(draw.uniform(0, length_s) for _ in range(LONG)), length_s, draw)
        kept = sum(one.times is not None and one.times[NAME] <= case.limit_s for one in look.settled)
        low, high = (rate, high) if kept >= SHARE * len(look.settled) else (low, rate)
    return low


def found(case: Case, seed: int, *, looks: int, requests: int, resolution: float) -> tuple[float | None, int]:
    """Return the capacity that one search reports, None for a bound, and the requests that it sent."""
    draw, ladder = random.Random(seed), Ladder(resolution)
    rule = Rule({NAME: case.limit_s}, {NAME: SHARE}, resolution, looks, 0.95)
    plan = Search(rule, requests, 30, 1, (), 1.0, 256, seed)
    walk = search(ladder.at_most(draw.uniform(0.3, 1) * case.servers / case.mean_s), 10**6, ladder, plan.steps)
    rung, total = next(walk), 0
    while True:
        rate = ladder.rate(rung)
        count = plan.count(rate, case.limit_s)
        seen: list[Look] = []
        judged: Judged | None = None
        while judged is None or judged.verdict == "undecided":
            arrivals = plan.arrivals(rate, len(seen) + 1, count)
            *times, length_s = arrivals.due()
            seen.append(simulate(case, times, length_s, draw))
            total += count
            judged = judge(seen, rule)
        try:
            rung = walk.send(judged)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return (ladder.rate(outcome.low) if outcome.ending == "found" and outcome.low is not None else None), total


def main() -> int:
    """Print a row for each case, and say whether the limits hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--looks", type=int, default=4)
    parser.add_argument("--requests", type=int, default=445)
    parser.add_argument("--resolution", type=float, default=0.1)
    given = parser.parse_args()
    settings = {"looks": given.looks, "requests": given.requests, "resolution": given.resolution}
    beyond = {1: 0, 2: 0}
    print(f"{'case':40} {'truth':>7} {'median':>7} {'5%':>7} {'95%':>7} {'>1 rung':>8} {'>2':>5} {'requests':>9}")
    for case in CASES:
        began, true = time.monotonic(), truth(case)
        results = [found(case, seed, **settings) for seed in range(given.searches)]
        errors = sorted((rate or 0.0) / true - 1 for rate, _ in results)
        count = len(errors)
        far = {}
        for rungs in beyond:
            reach = (1 + given.resolution) ** rungs * 1.001
            far[rungs] = sum(not 1 / reach <= 1 + error <= reach for error in errors)
            beyond[rungs] += far[rungs]
        ends = [errors[int(share * (count - 1))] for share in (0.5, 0.05, 0.95)]
        sent = sum(total for _, total in results) / count
        told = "".join(f" {end:>+7.1%}" for end in ends)
        far_told = f"{far[1] / count:>8.1%} {far[2] / count:>5.1%}"
        print(
            f"{case.name:40} {true:7.2f}{told} {far_told} {sent:9.0f}  ({time.monotonic() - began:.0f} s)", flush=True
        )
    every = len(CASES) * given.searches
    return tell(
        [
            Limit("share of searches that end within one rung of the truth", 1 - beyond[1] / every, ">=", 0.85),
            Limit("share of searches that end within two rungs of the truth", 1 - beyond[2] / every, ">=", 0.98),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
