"""What a confidence is worth: calibration, risk by coverage, and what may pass without a person.

    confidence 0.99 0.97 0.90 0.60, wrong 0 0 1 1  ->  risk 0, 0, 1/3, 1/2 at coverage 1/4 ... 1, area 5/24

*Risk* at a coverage is the share of wrong ones among the most confident answers (Geifman & El-Yaniv 2017, "Selective
classification for deep neural networks"). All intervals and bounds take documents as units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics.statistics import CONFIDENCE, MIN_DOCUMENTS, Interval, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metrics.api import Array

BINS = 10
REPLICATES = 1000
# The level is split among groups at which the tests start anew: the smallest, and those a third and two thirds up.
_STARTS = (0.5, 0.25, 0.25)
_GROWTH = 1.1  # by how much each group is larger than the one before
# Bets of the test for documents with several answers, as shares of the largest bet that can't be ruinous.
_BETS = np.concatenate([[1.0], np.geomspace(0.01, 0.9, 19)])
_WEIGHTS = np.concatenate([[0.5], np.full(19, 0.5 / 19)])
_CELLS = 4_000_000  # numbers of a bootstrap that are held at a time: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Answers, or values of answers: `documents` (n,) of 0 ... d - 1, `confidence` (n,) from 0 to 1, `wrong` (n,).

    `confidence` is NaN where it is not measured: such an answer never passes, and counts in no other figure.
    """

    documents: NDArray[np.intp]
    confidence: Array
    wrong: NDArray[np.bool_]

    @classmethod
    def of(cls, documents: list[str], confidence: list[float | None], wrong: list[bool]) -> Items:
        """Make items from lists of equal length."""
        _, numbers = np.unique(np.array(documents, dtype=object).astype(str), return_inverse=True)
        values = np.array([math.nan if value is None else value for value in confidence], dtype=np.float64)
        return cls(numbers.astype(np.intp), values, np.array(wrong, dtype=bool))

    @property
    def measured(self) -> Items:
        """Those whose confidence is measured, the most confident first."""
        kept = np.flatnonzero(np.isfinite(self.confidence))
        kept = kept[np.argsort(-self.confidence[kept], kind="stable")]
        _, documents = np.unique(self.documents[kept], return_inverse=True)
        return Items(documents.astype(np.intp), self.confidence[kept], self.wrong[kept])

    def __len__(self) -> int:
        """Return their number."""
        return len(self.confidence)


# ------------------------------------------------------------------------------------------------- calibration


def bins(confidence: Array, count: int = BINS) -> NDArray[np.intp]:
    """Return the number of the bin of each confidence: bins of equally many answers; equal ones share a bin.

    Bins of equal width would leave most of them empty: confidences of language models crowd near 1 (Nixon et al. 2019,
    "Measuring calibration in deep learning").
    """
    edges = np.unique(np.quantile(confidence, np.linspace(0, 1, count + 1)[1:-1]))
    return np.searchsorted(edges, confidence, side="left")


def calibration_error(items: Items, count: int = BINS) -> float:
    """Return the expected calibration error: the mean over answers of |accuracy - mean confidence| of their bins.

    Naeini et al. 2015; Guo et al. 2017, "On calibration of modern neural networks". With few answers in a bin it is
    above 0 even for a model that is calibrated perfectly: `if_calibrated` says by how much.
    """
    found = items.measured
    if not len(found):
        return math.nan
    gaps = np.where(found.wrong, 0.0, 1.0) - found.confidence
    return float(np.abs(np.bincount(bins(found.confidence, count), weights=gaps)).sum() / len(found))


def if_calibrated(items: Items, count: int = BINS, *, draws: int = 200, seed: int = 0) -> float:
    """Return the calibration error that a perfectly calibrated model with these confidences has on average."""
    found = items.measured
    if not len(found):
        return math.nan
    generator, of_bin = np.random.default_rng(seed), bins(found.confidence, count)
    errors = []
    for _ in range(min(draws, max(20, _CELLS // len(found)))):
        right = generator.random(len(found)) < found.confidence
        errors.append(np.abs(np.bincount(of_bin, weights=right - found.confidence)).sum() / len(found))
    return float(np.mean(errors))


def calibration_interval(
    items: Items, count: int = BINS, *, confidence: float = CONFIDENCE, replicates: int = REPLICATES, seed: int = 0
) -> Interval | None:
    """Return the basic bootstrap interval of the calibration error over documents.

    None with fewer than two, or if all are alike.

    A resample has a larger error than the sample, as the sample has a larger one than the population. So the interval
    is mirrored at the figure (Davison & Hinkley 1997, chapter 5.2), which takes this bias off. It is cut at 0.
    """
    found = items.measured
    documents = int(found.documents.max()) + 1 if len(found) else 0
    if documents < MIN_DOCUMENTS:
        return None
    of_bin = bins(found.confidence, count)
    width = int(of_bin.max()) + 1
    gaps, sizes = np.zeros((documents, width)), np.zeros(documents)
    np.add.at(gaps, (found.documents, of_bin), np.where(found.wrong, 0.0, 1.0) - found.confidence)
    np.add.at(sizes, found.documents, 1.0)
    drawn = [
        np.abs(weights @ gaps).sum(axis=1) / (weights @ sizes) for weights in _resamples(documents, replicates, seed)
    ]
    whole = percentile_interval(np.concatenate(drawn), confidence)
    if whole is None or whole.low == whole.high:  # of documents that are all alike: no certainty
        return None
    value = float(np.abs(gaps.sum(axis=0)).sum() / sizes.sum())
    return Interval(min(1.0, max(0.0, 2 * value - whole.high)), min(1.0, max(0.0, 2 * value - whole.low)))


# ------------------------------------------------------------------------------------------------- risk by coverage


def risk_by_coverage(items: Items) -> tuple[Array, Array]:
    """Return coverage and risk (n,), the most confident answers first.

    Of equally confident answers none comes first: they have the risk that any order of them gives on average.
    """
    found = items.measured
    errors = _smoothed(found.confidence, found.wrong.astype(np.float64)[np.newaxis])[0].cumsum()
    numbers = np.arange(1, len(found) + 1)
    return numbers / max(len(found), 1), errors / numbers


def area(items: Items) -> float:
    """Return the area under the curve of risk by coverage (AURC): the mean of the risks at 1, 2, ... n answers.

    Geifman, Uziel & El-Yaniv 2019, "Bias-reduced uncertainty estimation". 0 is best; a confidence that says nothing
    gives the share of wrong answers.
    """
    _, risk = risk_by_coverage(items)
    return float(risk.mean()) if len(risk) else math.nan


def area_interval(
    items: Items, *, confidence: float = CONFIDENCE, replicates: int = REPLICATES, seed: int = 0
) -> Interval | None:
    """Return the percentile bootstrap interval of `area` over documents.

    None with fewer than two documents, or if all are alike.
    """
    found = items.measured
    documents = int(found.documents.max()) + 1 if len(found) else 0
    if documents < MIN_DOCUMENTS:
        return None
    replicates = max(200, min(replicates, 10 * _CELLS // len(found)))
    areas = []
    for weights in _resamples(documents, replicates, seed, width=len(found)):
        counts = weights[:, found.documents]
        # A weighted answer stands as often as it was drawn; the mean over those copies is taken at their middle.
        errors = _smoothed(found.confidence, counts * found.wrong, counts).cumsum(axis=1)
        numbers = counts.cumsum(axis=1)
        risk = np.divide(errors, numbers, out=np.zeros_like(errors), where=numbers > 0)
        areas.append((risk * counts).sum(axis=1) / counts.sum(axis=1))
    found_area = percentile_interval(np.concatenate(areas), confidence)
    return None if found_area is None or found_area.low == found_area.high else found_area


def _smoothed(confidence: Array, errors: Array, counts: Array | None = None) -> Array:
    """Spread errors (b, n) evenly over answers of equal confidence, by `counts` (b, n) where they weigh differently."""
    group = np.concatenate([[0], np.cumsum(np.diff(confidence) != 0)]) if len(confidence) else np.zeros(0, dtype=int)
    if not len(group) or group[-1] == len(group) - 1:
        return errors
    starts = np.flatnonzero(np.concatenate([[True], np.diff(group) != 0]))
    weights = np.ones_like(errors) if counts is None else counts
    sums, sizes = np.add.reduceat(errors, starts, axis=1), np.add.reduceat(weights, starts, axis=1)
    shares = np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)
    spread: Array = shares[:, group] * weights
    return spread


def _resamples(documents: int, replicates: int, seed: int, width: int = 0) -> Iterator[Array]:
    """Return chunks (b, documents): how often each document is drawn."""
    generator, chunk = np.random.default_rng(seed), max(1, _CELLS // max(documents, width))
    sizes = [min(chunk, replicates - start) for start in range(0, replicates, chunk)]
    even = np.full(documents, 1 / documents)
    return (generator.multinomial(documents, even, size=size).astype(np.float64) for size in sizes)


# ------------------------------------------------------------------------------------------------- what may pass


@dataclass(frozen=True, slots=True)
class Passing:
    """What may pass without a person so that at most a share `risk` of it is wrong, at a stated confidence.

    Answers whose confidence is *above* `threshold` pass: `passed` of `total`, on `documents` documents; `wrong` of them
    were wrong here. `threshold` is -1 where all measured ones pass. `passed` is 0 where no threshold can be shown
    to hold.
    """

    risk: float
    passed: int
    total: int
    wrong: int
    documents: int
    threshold: float

    @property
    def share(self) -> float:
        """The share of all answers that may pass."""
        return self.passed / self.total


def documents_needed(risk: float, confidence: float = CONFIDENCE, *, several: bool = False) -> int:
    """Return the least number of documents, with no wrong answer, that shows a risk of at most `risk`.

    299 for 1 % and 59 for 5 % at 95 % confidence (the rule of three); with `several` answers on each 368 and 72.
    """
    stake = float(_WEIGHTS[0]) if several else 1.0
    return math.ceil(math.log((1 - confidence) * stake) / math.log1p(-risk) - 1e-9)


def may_pass(items: Items, risk: float, *, confidence: float = CONFIDENCE) -> Passing | None:
    """Return the largest group of the most confident answers of which at most a share `risk` is shown to be wrong.

    None if there are too few documents to show it even if nothing were wrong (`documents_needed`). The groups are the K
    most confident answers, for numbers K of which each is a tenth larger than the one before. Confidences choose the
    groups, and what is wrong in them is only tested: given the confidences, documents are still independent. So each
    has a valid test: that of Clopper & Pearson where a document has one answer, else a bet against a risk above `risk`
    (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting"), which assumes nothing of
    how wrong answers cluster. The groups are tested from the smallest on that could be shown, with three starts; the
    level of a test that rejects goes on to the next (Wiens & Dmitrienko 2005), so that the probability of any wrong
    group is at most 1 - confidence. This is the fixed-sequence testing of Angelopoulos et al. 2021, "Learn then test".
    """
    if not 0 < risk < 1 or not 0 < confidence < 1:
        raise ValueError(f"risk and confidence lie between 0 and 1, not {risk} and {confidence}")
    found = items.measured
    groups = _groups(found, risk, 1 - confidence)
    if not groups:
        return None
    passing, carried = Passing(risk, 0, len(items), 0, 0, math.nan), 0.0
    for size, share in groups:
        level = share + carried
        carried = level if level and _p(found, size, risk) <= level else 0.0
        if carried:
            wrong, documents = int(found.wrong[:size].sum()), len(np.unique(found.documents[:size]))
            threshold = -1.0 if size == len(found) else float(found.confidence[size])
            passing = Passing(risk, size, len(items), wrong, documents, threshold)
    return passing


def _groups(found: Items, risk: float, level: float) -> list[tuple[int, float]]:
    """Return how many answers are in each group that is tested, and its share of the level; none if none can be shown.

    Nothing here depends on what is wrong.
    """

    def shows(size: int, part: float) -> bool:
        return size > 0 and _p(found, size, risk, nothing_wrong=True) <= level * part

    if not shows(len(found), _STARTS[0]):  # all of the level for one group
        return [(len(found), level)] if shows(len(found), 1.0) else []
    too_few, size = 0, len(found)
    while size - too_few > 1:
        middle = (size + too_few) // 2
        too_few, size = (too_few, middle) if shows(middle, _STARTS[0]) else (middle, size)
    sizes = [size]
    while sizes[-1] < len(found):
        sizes.append(min(len(found), max(sizes[-1] + 1, math.ceil(_GROWTH * sizes[-1]))))
    # Of equally confident answers all pass or none.
    ends = {
        one if one == len(found) else int(np.searchsorted(-found.confidence, -found.confidence[one])) for one in sizes
    }
    able = [one for one in sorted(ends) if shows(one, _STARTS[0])]
    shares = [0.0] * len(able)
    for number, share in enumerate(_STARTS):
        shares[round(number * (len(able) - 1) / len(_STARTS))] += share * level
    return list(zip(able, shares, strict=True))


def _p(found: Items, size: int, risk: float, *, nothing_wrong: bool = False) -> float:
    """Return the p-value of the hypothesis that more than a share `risk` of the first answers is wrong."""
    from scipy import special

    documents = found.documents[:size]
    answers = np.bincount(documents)
    wrong = np.zeros(len(answers)) if nothing_wrong else np.bincount(documents, weights=found.wrong[:size])
    if answers.max() == 1:
        return float(special.bdtr(wrong.sum(), size, risk))
    # At most 0 on average if the hypothesis is true. Then no bet of the same amount on all documents gains, for
    # prod(1 + b x_d) has the mean prod(1 + b E x_d) <= exp(b sum E x_d) <= 1.
    gains = risk * answers - wrong
    gains, counts = np.unique(gains, return_counts=True)
    bets = _BETS / ((1 - risk) * answers.max())
    with np.errstate(divide="ignore"):
        wealth = np.log(np.maximum(1 + bets[:, np.newaxis] * gains, 0.0)) @ counts
    return float(min(1.0, np.exp(-special.logsumexp(wealth, b=_WEIGHTS))))
