"""The confidence interval of a difference of two shares on the same documents that agrees with McNemar's exact test.

The difference is d (2 g - 1): d is the share of documents on which the two candidates differ, g the share of these that
the candidate gains. McNemar's test asks whether g is 1/2. So each limit combines Clopper & Pearson's confidence
distributions of g and of d, and takes of d always the one that widens the interval ("melding"). The interval excludes 0
exactly where the p-value of the test is below 1 - confidence, and its limits know that d is estimated as well.

Fay & Lumbard 2021, "Confidence intervals for difference in proportions for matched pairs compatible with exact
McNemar's or sign tests", Statistics in Medicine 40(5); melding: Fay, Proschan & Brittain 2015, Biometrics 71. That it
always covers is not proven; tests/metrics/test_mcnemar_interval.py computes its coverage exactly for small numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from metrics.statistics import Interval

# Points of Gauss and Legendre's quadrature: with 100,000 documents the limits are right to four decimals.
_POINTS = 80


def mcnemar_interval(gained: int, lost: int, documents: int, confidence: float) -> Interval:
    """Return the interval of (gained - lost) / documents.

    Of `documents` with one answer each, `gained` became right and `lost` wrong.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if min(gained, lost) < 0 or gained + lost > documents or documents < 1:
        raise ValueError(f"{gained} gained and {lost} lost do not fit {documents} documents")
    tail = (1 - confidence) / 2
    # What the candidate gains the baseline loses, so the upper limit is the lower one of the other way round.
    return Interval(_lowest(gained, lost, documents, tail), 0.0 - _lowest(lost, gained, documents, tail))


def _lowest(gained: int, lost: int, documents: int, tail: float) -> float:
    """Return the lower limit: the quantile `tail` of the confidence distribution of the difference."""
    from scipy import optimize, special

    differ = gained + lost
    if not gained:  # g may be 0: then the difference is -d
        return -_beta_quantile(differ + 1, documents - differ, 1 - tail)
    at_zero = float(special.betainc(gained, lost + 1, 0.5)) - tail
    if at_zero == 0:
        return 0.0
    low, high = (0.0, 1.0) if at_zero < 0 else (-1.0, 0.0)
    below = functools.partial(_below, gained, lost, documents)
    return float(optimize.brentq(lambda difference: below(difference) - tail, low, high, xtol=1e-9))


def _below(gained: int, lost: int, documents: int, difference: float) -> float:
    """Return the confidence that the true difference is at most `difference`."""
    from scipy import special

    differ = gained + lost
    # g from which on a difference can be that large at all, with d = 1
    middle = (1 + difference) / 2
    share = float(special.betainc(gained, lost + 1, middle))
    if difference > 0:  # below it whatever d is; above it where d, taken small, is small enough
        return share + _mean(
            gained, lost, (share, 1.0), lambda g: special.betainc(differ, documents - differ + 1, _ratio(difference, g))
        )
    if documents == differ:
        return share  # d may be 1
    return _mean(
        gained,
        lost,
        (0.0, share),
        lambda g: special.betaincc(differ + 1, documents - differ, _ratio(difference, g)),
    )


def _ratio(difference: float, gain: np.ndarray) -> np.ndarray:
    """Return the d at which g makes the difference; 0 / 0 is d = 0."""
    span = 2 * gain - 1
    ratio: np.ndarray = np.divide(difference, span, out=np.zeros_like(span), where=span != 0)
    clipped: np.ndarray = np.clip(ratio, 0.0, 1.0)
    return clipped


def _mean(gained: int, lost: int, ends: tuple[float, float], chance: Callable[[np.ndarray], np.ndarray]) -> float:
    """Integrate `chance` over the quantiles from `ends` of the confidence distribution of g."""
    from scipy import special

    low, high = ends
    points, weights = _quadrature()
    gains = special.betaincinv(gained, lost + 1, low + (high - low) * points)
    return float((high - low) * (weights * chance(gains)).sum())


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    return (points + 1) / 2, weights / 2


def _beta_quantile(a: int, b: int, share: float) -> float:
    from scipy import special

    return 1.0 if b == 0 else float(special.betaincinv(a, b, share))
