"""What a search for the highest rate (`load=capacity`) will ask: how many requests in each look, and which questions.

Nothing here chooses a rate: `asking/sustainable.py` does, and `sweeps/capacity.py` asks.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.config.load import CAPACITY, PERCENTILE
from runner.datasets.api import Dataset, Sample
from runner.planning.arrivals import SETTLE_SHARE, Arrivals

BEYOND = 20  # requests of one look that may lie beyond a percentile, where load.requests is not given
MOST_PICTURE_REPEATS = 10000
Chosen = tuple[int, int]  # the number of a sample in its dataset, and the repeat


@dataclass(frozen=True)
class Rule:
    """What decides of a rate: limits in seconds by their names in `report.slo`, each with the share that must keep it.

    A rate is looked at up to `looks` times; `confidence` is that of the decision about one rate. Neighbouring rates
    differ by the share `resolution`.
    """

    limits: Mapping[str, float]
    shares: Mapping[str, float]
    resolution: float
    looks: int
    confidence: float

    @property
    def error(self) -> float:
        """Return the error that each end of an interval may make at one look (Bonferroni)."""
        return (1 - self.confidence) / self.looks

    @property
    def fewest(self) -> int:
        """Return how many requests must keep each limit, if all do, so that a rate can be shown to hold."""
        return max(math.ceil(math.log(self.error) / math.log(share)) for share in self.shares.values())


@dataclass(frozen=True)
class Search:
    """What a job's search will ask. `requests` are the fewest of one look.

    `groups` are the numbers of the samples that share pictures; a look takes at most `picture_repeats` questions of
    each. `pages_per_request` is how many pages of the dataset there are for each of its questions.
    """

    rule: Rule
    requests: int
    steps: int
    picture_repeats: int
    groups: Sequence[Sequence[int]]
    pages_per_request: float
    max_in_flight: int
    seed: int

    @property
    def most(self) -> int:
        """Return how many requests one look can have."""
        return len(self.groups) * self.picture_repeats

    def count(self, rate: float, longest_s: float) -> int:
        """Return how many requests a look at a rate has.

        It lasts `longest_s` (the longest limit, or what an answer takes without a queue) divided by the resolution:
        a queue that grows because the rate is too high by the resolution is then as long as that limit.
        """
        return max(self.requests, math.ceil(rate * longest_s / self.rule.resolution))

    def highest(self, longest_s: float) -> float:
        """Return the highest rate that can be looked at, in requests per second."""
        return self.most * self.rule.resolution / longest_s

    def condition(self, rate: float, look: int, count: int) -> str:
        """Name what decides a look: a condition of its answers' timing."""
        named = f"rate={rate:g} requests={count} look={look} seed={self.seed} max_in_flight={self.max_in_flight}"
        return f"capacity {named} picture_repeats={self.picture_repeats}"

    def chosen(self, rate: float, look: int, count: int) -> list[Chosen]:
        """Return the questions of a look, drawn at random anew for each: no picture before all others were taken."""
        draw = random.Random(f"questions {self.condition(rate, look, count)}")  # noqa: S311 - no secret
        shuffled = [draw.sample(group, len(group)) for group in self.groups]
        questions: list[Chosen] = []
        for turn in range(self.picture_repeats):
            draw.shuffle(shuffled)
            wanted = shuffled[: count - len(questions)]
            questions += [(group[turn % len(group)], turn // len(group)) for group in wanted]
        return questions

    def arrivals(self, rate: float, look: int, count: int) -> Arrivals:
        """Return when the requests of a look are due: at random times, exactly `count` in count / rate seconds.

        Given their number, the arrivals of a Poisson process are independent and uniform. That the number is fixed
        keeps the rate of a short load at what it is named.
        """
        name = self.condition(rate, look, count)
        length_s = count / rate
        draw = random.Random(f"times {name}")  # noqa: S311 - no secret
        times = [*sorted(draw.uniform(0, length_s) for _ in range(count)), length_s]
        return Arrivals(name, count, SETTLE_SHARE * length_s, self.max_in_flight, lambda: iter(times))


def planned(config: Config, samples: Dataset) -> Search | None:
    """Return what a job's search will ask; None where there is none.

    Raise Refused where a look can show nothing, or would send a picture more often than it may.
    """
    load, slo = config.load, config.report.slo
    if load.arrivals != CAPACITY:
        return None
    shares = {name: int(found[1]) / 100 for name in slo if (found := PERCENTILE.search(name)) is not None}
    rule = Rule(dict(slo), shares, load.resolution, load.looks, config.report.confidence)
    requests = load.requests or _sent(max(math.ceil(BEYOND / (1 - share)) for share in shares.values()))
    least = _sent(math.ceil(rule.fewest / rule.looks)) + 1
    problems: list[Problem] = []
    if requests < least:
        what = f"{load.looks} looks of {requests} requests can't show that a rate holds, even if all are in time"
        problems.append(Problem(what, "load.requests", f"load.requests={least}, or more looks (load.looks)"))
    groups = _groups(samples, pictures=config.model.images)
    if requests > len(groups) * load.picture_repeats:
        problems.append(_too_few(requests, least, len(groups), load.picture_repeats))
    if problems:
        raise Refused(problems)
    pictures = {image for sample in samples for image in sample.images}
    return Search(
        rule,
        requests,
        load.steps,
        load.picture_repeats,
        groups,
        len(pictures) / len(samples),
        load.max_in_flight,
        load.seed,
    )


def _sent(settled: int) -> int:
    """Return how many requests a look sends so that so many are due in its settled part."""
    return math.ceil(settled / (1 - SETTLE_SHARE))


def _too_few(requests: int, least: int, pictures: int, repeats: int) -> Problem:
    what = (
        f"each look sends {requests} requests, and the dataset has {pictures} questions with pictures of their own: "
        f"no picture is sent more than {repeats}x in a look"
    )
    remedies = []
    if pictures and (needed := math.ceil(requests / pictures)) <= MOST_PICTURE_REPEATS:
        remedies.append(f"load.picture_repeats={needed} lets a look send each picture {needed}x")
    if least <= pictures * repeats:
        remedies.append(f"load.requests={pictures * repeats} makes looks shorter, and so less certain")
    return Problem(what, "load", "; or ".join([*remedies, "a larger dataset"]))


def _groups(samples: Iterable[Sample], *, pictures: bool) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of samples that share pictures, also by way of others; a sample without any stands alone."""
    from scipy.cluster.hierarchy import DisjointSet  # which no other load needs

    sets, numbers = DisjointSet(), []
    for number, sample in enumerate(samples):
        numbers.append(number)
        sets.add(number)
        for image in sample.images if pictures else ():
            sets.add(image)
            sets.merge(number, image)
    groups: dict[object, list[int]] = {}
    for number in numbers:
        groups.setdefault(sets[number], []).append(number)
    return tuple(map(tuple, groups.values()))
