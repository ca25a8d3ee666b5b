"""Paired comparison of two runs on the samples that both scored: difference, confidence interval and tests.

Questions on the same document are correlated, so documents are the unit: statistics are summed within each document,
and the tests see one figure per document. Repeats of a question are averaged first, since they are no additional
evidence about other documents.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics import bounded, statistics
from metrics.api import Case, Measure, Score
from metrics.corpus_test import CorpusTest, corpus_test, nearly_alike
from metrics.mcnemar_interval import mcnemar_interval
from metrics.significance import McNemar, SignedRank, mcnemar, signed_rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metrics.api import Array
    from metrics.bounded import BoundedSums
    from metrics.statistics import Interval, Jackknifed

    Combine = Callable[[Array], Array]


class NothingToCompare(ValueError):
    """No document has a figure on both sides: an answer that holds no values has none that were invented."""


class MeanStatistics(Mapping[str, "Array"]):
    """A mapping from sample to its statistics (k,), the mean over its repeats.

    All samples share one matrix: an array for each sample would take five times the memory. Several measures may share
    `rows`, which maps each sample to its row; `add` extends it.
    """

    def __init__(self, rows: dict[str, int] | None = None) -> None:
        """Start without samples."""
        self._rows: dict[str, int] = {} if rows is None else rows
        self._sums, self._counts = array("d"), array("q")
        self._width = self._samples = 0

    def add(self, sample: str, stats: Sequence[float]) -> None:
        """Add the statistics of one repeat of a sample. Raise ValueError if their number differs from earlier ones."""
        if self._width not in (0, len(stats)):
            raise ValueError(f"{sample}: {len(stats)} statistics, and {self._width} of others")
        self._width = len(stats)
        row = self._rows.setdefault(sample, len(self._rows))
        if (beyond := row + 1 - len(self._counts)) > 0:
            self._counts.extend([0] * beyond)
            self._sums.extend([0.0] * (beyond * self._width))
        self._samples += not self._counts[row]
        self._counts[row] += 1
        for place, value in enumerate(stats, start=row * self._width):
            self._sums[place] += value

    def __getitem__(self, sample: str) -> Array:
        """Return the mean statistics (k,) of a sample."""
        row = self._rows[sample]
        if not self._count(row):
            raise KeyError(sample)
        return np.array(self._sums[row * self._width : (row + 1) * self._width]) / self._counts[row]

    def __iter__(self) -> Iterator[str]:
        """Yield the samples."""
        return (sample for sample, row in self._rows.items() if self._count(row))

    def __len__(self) -> int:
        """Count the samples."""
        return self._samples

    def _count(self, row: int) -> int:
        return self._counts[row] if row < len(self._counts) else 0


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRun:
    """One measure of one run: the document of each sample, and its statistics (k,) averaged over the scored repeats.

    `unscored` is the number of samples without a scored repeat.
    """

    name: str
    documents: Mapping[str, str]
    stats: Mapping[str, Array]
    unscored: int

    @classmethod
    def of(cls, name: str, measure: str, cases: Iterable[Case], scores: Iterable[Score]) -> ScoredRun:
        """Collect the scores of one measure, without the scores of parts of structured answers."""
        stats = MeanStatistics()
        for score in scores:
            if score.name == measure and not score.part and score.value is not None:
                stats.add(score.sample_id, score.stats)
        documents = {case.sample_id: case.document for case in cases}
        if unknown := [sample for sample in stats if sample not in documents]:
            raise ValueError(f"{name}: {measure} of {unknown[0]!r}: no such case")
        return cls(name, documents, stats, len(documents) - len(stats))


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether the candidate is worse than the baseline by less than `margin` (in units of the measure, above 0).

    `bound` is the one-sided confidence bound of the difference, candidate minus baseline, in the direction that is
    worse. It assumes nothing about unseen documents but the measure's range (metrics.bounded). It is None if the
    measure has no range or the data exceed it; then non-inferiority cannot be shown. `fewest` is the number of
    documents that this margin needs even if none of them differs.
    """

    margin: float
    bound: float | None
    confidence: float
    holds: bool
    fewest: int | None = None


@dataclass(frozen=True, slots=True)
class Paired:
    """The result of comparing a candidate with a baseline on shared samples, in units of the measure.

    `difference` is candidate minus baseline; `gain` is the same, with a positive sign if the candidate is better.
    `ci_low` and `ci_high` bound the difference (None with fewer than two documents), and hold 0 where the test that
    decides has a p-value of 1 - confidence or more. `unpaired` samples were not scored on both sides. `mean` and
    `deviation` describe the documents' differences, `effect` is their ratio (Cohen's d_z).
    `spread` is the standard deviation of the documents' contributions (jackknife pseudo-values) to the difference.
    `test` tests the difference (None with fewer than two documents); `wilcoxon` tests whether the differences of the
    documents are symmetric about 0. `mcnemar` is None unless all scores are 0 or 1.
    """

    measure: Measure
    baseline: str
    candidate: str
    value_baseline: float
    value_candidate: float
    ci_low: float | None
    ci_high: float | None
    confidence: float
    samples: int
    documents: int
    unpaired: int
    mean: float
    deviation: float
    spread: float
    test: CorpusTest | None
    wilcoxon: SignedRank
    mcnemar: McNemar | None
    one_answer_per_document: bool
    non_inferiority: NonInferiority | None

    @property
    def difference(self) -> float:
        """Candidate minus baseline."""
        return self.value_candidate - self.value_baseline

    @property
    def gain(self) -> float:
        """The difference, with a positive sign if the candidate is better."""
        return self.difference if self.measure.better == "higher" else -self.difference

    @property
    def holds_zero(self) -> bool:
        """Whether the interval of the difference contains 0, or is not known."""
        return self.ci_low is None or self.ci_high is None or self.ci_low <= 0 <= self.ci_high

    @property
    def effect(self) -> float | None:
        """Cohen's d_z: the documents' mean difference over its standard deviation; None if all differ equally."""
        return self.mean / self.deviation if self.deviation > 0 else None


def compare(
    measure: Measure,
    combine: Combine,
    baseline: ScoredRun,
    candidate: ScoredRun,
    *,
    margin: float | None = None,
    confidence: float = statistics.CONFIDENCE,
    replicates: int = bounded.DRAWS,
    seed: int = 0,
) -> Paired:
    """Compare two runs by one measure on the samples that both have scored.

    Raise ValueError if there are none, and NothingToCompare if the measure is undefined for all of them.

    `combine` turns summed statistics (..., k) into figures (...). The comparison is paired: each document is left out,
    swapped or weighted on both sides together, so the difficulty of a document cancels. `replicates` is the number of
    random draws.
    """
    samples, documents = _shared(baseline, candidate)
    sides = [np.stack([run.stats[sample] for sample in samples]) for run in (baseline, candidate)]
    if measure.by_key and sides[0].shape != sides[1].shape:
        # Statistics stand in the order of a run's keys: those of other keys would be swapped for one another.
        raise NothingToCompare(
            f"{measure.name}: the references of {baseline.name} and {candidate.name} have other keys"
        )
    if sides[0].shape != sides[1].shape:
        raise ValueError(f"{measure.name}: {baseline.name} and {candidate.name} carry different statistics")
    if not all(np.isfinite(side).all() for side in sides):
        raise ValueError(f"{measure.name}: statistics of {baseline.name} or {candidate.name} are not finite")
    names, cluster = np.unique(documents, return_inverse=True)
    totals = [_by_document(stats, cluster, len(names)) for stats in sides]
    figures = [combine(side) for side in totals]
    differences = (figures[1] - figures[0])[np.isfinite(figures[0]) & np.isfinite(figures[1])]
    if not len(differences):
        raise NothingToCompare(f"{measure.name}: no document has a figure on both sides")
    values = [float(combine(side.sum(axis=0))) for side in totals]
    contributions = _difference(combine, totals)
    sums = bounded.of_difference(measure, combine, totals[0], totals[1])
    draws = {"draws": replicates, "seed": seed}
    test = corpus_test((totals[0], totals[1]), combine, contributions, sums, **draws) if contributions else None
    mcnemar, alone = _mcnemar(*sides), len(names) == len(samples)
    interval = _interval(contributions, sums, confidence, draws)
    if test and mcnemar and alone:
        interval = mcnemar_interval(mcnemar.gained, mcnemar.lost, len(names), confidence)
    elif interval and test and test.p >= 1 - confidence:
        interval = _with_zero(interval)
    everyone = {*baseline.documents, *candidate.documents}
    return Paired(
        measure=measure,
        baseline=baseline.name,
        candidate=candidate.name,
        value_baseline=values[0],
        value_candidate=values[1],
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
        confidence=confidence,
        samples=len(samples),
        documents=len(names),
        unpaired=len(everyone) - len(samples),
        mean=float(differences.mean()),
        deviation=float(differences.std(ddof=1)) if len(differences) > 1 else 0.0,
        spread=contributions.deviation if contributions else 0.0,
        test=test,
        wilcoxon=signed_rank(differences),
        mcnemar=mcnemar,
        one_answer_per_document=alone,
        non_inferiority=_non_inferiority(measure, sums, margin, confidence, draws) if contributions else None,
    )


def _shared(baseline: ScoredRun, candidate: ScoredRun) -> tuple[list[str], list[str]]:
    """Return the samples that both runs scored, sorted, and their documents."""
    samples = sorted(set(baseline.stats) & set(candidate.stats))
    if not samples:
        raise ValueError(f"{baseline.name} and {candidate.name} share no scored sample")
    moved = [sample for sample in samples if baseline.documents[sample] != candidate.documents[sample]]
    if moved:
        raise ValueError(
            f"{len(moved)} samples belong to different documents in {baseline.name} and {candidate.name}, such as "
            f"{moved[0]!r}: are these runs of one dataset?"
        )
    return samples, [baseline.documents[sample] for sample in samples]


def _by_document(stats: Array, cluster: NDArray[np.intp], documents: int) -> Array:
    """Sum statistics (samples, k) within each document: (documents, k)."""
    return np.stack([np.bincount(cluster, weights=column, minlength=documents) for column in stats.T], axis=1)


def _difference(combine: Combine, totals: Sequence[Array]) -> Jackknifed | None:
    """Return the jackknifed difference of the figures; None with fewer than two documents."""
    width = totals[0].shape[1]

    def figure(both: Array) -> Array:
        difference: Array = combine(both[..., width:]) - combine(both[..., :width])
        return difference

    return statistics.jackknife(np.concatenate(totals, axis=1), figure)


def _interval(
    difference: Jackknifed | None, sums: BoundedSums | None, confidence: float, draws: Mapping[str, int]
) -> Interval | None:
    """Return the interval of the difference. If documents are nearly alike, unseen documents widen it."""
    if difference is None:
        return None
    studentised = statistics.studentised_interval(difference, confidence)
    if sums is None:
        return studentised if difference.deviation else None
    low, high = (
        sums.bounds((1 - confidence) / 2, **draws) if nearly_alike(difference) else (studentised.low, studentised.high)
    )
    # Two figures cannot differ by more than the width of the range.
    return statistics.Interval(max(min(low, studentised.low), sums.low), min(max(high, studentised.high), sums.high))


def _with_zero(interval: Interval) -> Interval:
    """Widen an interval to 0: where the test does not tell two figures apart, neither may the interval.

    The paired randomisation has no interval of its own, and with few documents its p-value can't be small.
    """
    return statistics.Interval(min(interval.low, 0.0), max(interval.high, 0.0))


def _mcnemar(baseline: Array, candidate: Array) -> McNemar | None:
    """Apply McNemar's test if all scores are right or wrong: statistics (n, 2) of (0 or 1, 1). Else return None."""
    if baseline.shape[1] != 2:
        return None
    for side in (baseline, candidate):
        if not (np.isin(side[:, 0], (0, 1)).all() and (side[:, 1] == 1).all()):
            return None
    return mcnemar(baseline[:, 0], candidate[:, 0])


def _non_inferiority(
    measure: Measure, sums: BoundedSums | None, margin: float | None, confidence: float, draws: Mapping[str, int]
) -> NonInferiority | None:
    """Compare the one-sided bound of the difference with the margin."""
    if margin is None or measure.better == "neither":
        return None
    if not margin > 0:
        raise ValueError(f"margin must be above 0 (in units of {measure.name}), not {margin}")
    if sums is None:
        return NonInferiority(margin, None, confidence, holds=False)
    higher = measure.better == "higher"
    bound = sums.bounds(1 - confidence, **draws)[0 if higher else 1]
    fewest = bounded.fewest_within(margin, sums.high, 1 - confidence, sums.largest)
    return NonInferiority(margin, bound, confidence, bound > -margin if higher else bound < margin, fewest)
