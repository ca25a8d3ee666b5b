"""Confidence intervals of figures that are computed from additive statistics, with documents as units.

Since a metric's statistics are additive, leaving out a document is a subtraction, and the jackknife of a figure costs
as much as the figure itself. Questions on one document and repeats of one question are not independent, so whole
documents are left out (Cameron, Gelbach & Miller 2008, "Bootstrap-based improvements for inference with clustered
errors").

The interval is studentised and corrected for skewness. For measures with a range it is never wider than the bounds that
hold for any distribution in that range (metrics.bounded). docs/statistics.md states its coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics import bounded

if TYPE_CHECKING:
    from metrics.api import Array, Measure

CONFIDENCE = 0.95
REPLICATES = 2000
MIN_DOCUMENTS = 2
# Beyond so many documents the bounds of `metrics.bounded` are not computed: they would hardly narrow the interval.
_CUT_UP_TO = 500
# Documents that differ by less than this share of the figure differ only by rounding.
_ALIKE = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval in the units of its measure."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Jackknifed:
    """A figure of n documents with its jackknife pseudo-values `pseudo` (n,), the contributions of the documents.

    The mean of the pseudo-values is the figure (exactly for sums and means); their standard deviation divided by the
    square root of n is its standard error (Tukey 1958; Efron & Tibshirani 1993, "An Introduction to the Bootstrap",
    chapter 11).
    """

    value: float
    pseudo: Array

    @property
    def deviation(self) -> float:
        """The standard deviation (n - 1) of the documents' contributions; 0 if they differ only by rounding."""
        deviation = float(self.pseudo.std(ddof=1))
        return deviation if deviation > _ALIKE * max(float(np.abs(self.pseudo).max()), 1e-300) else 0.0

    @property
    def error(self) -> float:
        """The standard error of the figure."""
        return float(self.deviation / np.sqrt(len(self.pseudo)))

    @property
    def skew(self) -> float:
        """The skewness of the contributions divided by the square root of n: from -1 to 1, 0 if they are equal."""
        if not self.deviation:
            return 0.0
        centred = self.pseudo - self.pseudo.mean()
        return float((centred**3).mean() / (centred**2).mean() ** 1.5 / np.sqrt(len(centred)))


def ratio_of_sums(totals: Array) -> Array:
    """Return numerator / denominator of summed statistics (..., 2), NaN where the denominator is 0.

    It serves both corpus figures (edits, reference length) and means (sum of values, number of samples).
    """
    numerator, denominator = totals[..., 0], totals[..., 1]
    ratio: Array = np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)
    return ratio


def jackknife(totals: Array, figure: Callable[[Array], Array]) -> Jackknifed | None:
    """Return the delete-one-document jackknife of a figure.

    None with fewer than two documents, or if the figure is undefined (NaN) without one of them. `totals` (documents, k)
    are statistics summed within each document; `figure` maps (..., k) to (...).
    """
    if totals.ndim != 2:
        raise ValueError(f"totals need the shape (documents, k), not {totals.shape}")
    n = len(totals)
    if n < MIN_DOCUMENTS:
        return None
    whole = totals.sum(axis=0)
    value, without = float(figure(whole)), figure(whole - totals)
    if not np.isfinite(value) or not np.isfinite(without).all():
        return None
    return Jackknifed(value, value + (n - 1) * (value - without))


def skew_corrected(t: float, skew: float) -> float:
    """Return Hall's transformation of a studentised figure, which removes the skewness of its distribution.

    `skew` (a) is the skewness of the contributions divided by the square root of n. Hall 1992, "On the removal of
    skewness by transformation", Journal of the Royal Statistical Society B 54:
    t + a t^2 / 3 + a^2 t^3 / 27 + a / 6.
    """
    return t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6


def _uncorrected(value: float, skew: float) -> float:
    """Return the inverse of `skew_corrected`: the t whose transformation is `value`."""
    if abs(skew) < 1e-6:
        return value
    return float(3 / skew * (np.cbrt(1 + skew * (value - skew / 6)) - 1))


def studentised_interval(jackknifed: Jackknifed, confidence: float = CONFIDENCE) -> Interval:
    """Return the smallest interval that contains both the t interval and the skew-corrected one (Hall 1992).

    With few documents the t interval is too short on the side of the longer tail. Since the skewness is estimated with
    error, the wider of the two ends is used on each side.
    """
    from scipy import special  # scipy.stats would take longer to import than a small job's other computations

    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    critical = float(special.stdtrit(len(jackknifed.pseudo) - 1, (1 + confidence) / 2))  # quantile of Student's t
    above = max(critical, -_uncorrected(-critical, jackknifed.skew))
    below = max(critical, _uncorrected(critical, jackknifed.skew))
    return Interval(jackknifed.value - below * jackknifed.error, jackknifed.value + above * jackknifed.error)


def confidence_interval(
    totals: Array,
    combine: Callable[[Array], Array],
    measure: Measure | None = None,
    *,
    confidence: float = CONFIDENCE,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval | None:
    """Return the confidence interval of `combine(sum of totals)`.

    `totals` (documents, k) are statistics summed within each document; `combine` maps (..., k) to (...). `measure`
    gives the range of the figure; `replicates` is the number of random draws for the bounds in that range. None in
    three cases: with fewer than two documents, if the figure is undefined without one of them, and if all documents
    have the same figure and no range is known, because an interval of width zero would be a false certainty.
    """
    jackknifed = jackknife(totals, combine)
    if jackknifed is None:
        return None
    studentised = studentised_interval(jackknifed, confidence)
    sums = None if measure is None else bounded.of_figure(measure, combine, totals)
    alike = jackknifed.deviation == 0
    if sums is None:
        return None if alike else _within(studentised, measure)
    if not alike and len(totals) > _CUT_UP_TO:
        return Interval(max(studentised.low, sums.low), min(studentised.high, sums.high))
    low, high = sums.bounds((1 - confidence) / 2, draws=replicates, seed=seed)
    return Interval(low, high) if alike else Interval(max(studentised.low, low), min(studentised.high, high))


def _within(interval: Interval, measure: Measure | None) -> Interval:
    """Clip an interval to the range of the measure: no error rate is below 0."""
    if measure is None:
        return interval
    high = math.inf if measure.high is None else measure.high
    return Interval(max(interval.low, measure.low), min(interval.high, high))


def percentile_interval(values: Array, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the central percentile interval of bootstrap replicates (B,), or None if one is undefined (NaN).

    It is for figures that are not computed from sums (rank correlation, kappa). With few documents it is too narrow.
    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if not np.isfinite(values).all():
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return Interval(float(low), float(high))
