"""Paired tests that are exact with few documents, and Holm's correction for multiple tests.

Ten documents that all differ in the same direction give the smallest p-value possible with ten: 2 / 2**10 = 0.00195.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metrics.api import Array

# Up to so many differences the exact distribution is used; beyond, the normal approximation is good to three digits.
EXACT_UP_TO = 50
# Differences closer than this to each other (or to 0) are ties, because they differ only by rounding.
_TIE = 1e-12


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Outcome of the signed-rank test on `n` non-zero differences.

    `p` is two-sided. `smallest_p` is the p-value if all `n` differences had the same sign; if that is above the
    corrected alpha, no scores can be significant. `rank_biserial` is the effect size from -1 to 1: the share of the
    rank sum with positive sign minus the share with negative sign (Kerby 2014, "The simple difference formula").
    """

    p: float
    n: int
    exact: bool
    smallest_p: float
    rank_biserial: float


@dataclass(frozen=True, slots=True)
class McNemar:
    """Outcome of McNemar's exact test: `gained` answers became right, `lost` ones wrong; `p` is two-sided."""

    p: float
    gained: int
    lost: int


def signed_rank(differences: Array) -> SignedRank:
    """Test whether paired differences (n,) lie symmetrically about 0.

    Wilcoxon 1945, "Individual comparisons by ranking methods": zeros are dropped, ties get their mean rank. Up to 50
    differences the exact distribution conditional on these ranks is used, which is valid with ties; beyond, the normal
    approximation with tie correction.
    """
    from scipy import stats

    differences = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(differences).all():
        raise ValueError("a difference is not a number; leave out what is not scored on both sides")
    scale = float(np.abs(differences).max(initial=0.0))
    nonzero = differences[np.abs(differences) > _TIE * max(scale, 1.0)]
    n = len(nonzero)
    if not n:
        return SignedRank(p=1.0, n=0, exact=True, smallest_p=1.0, rank_biserial=0.0)
    sizes = np.round(np.abs(nonzero) / (_TIE * scale)) * _TIE if scale else np.abs(nonzero)
    ranks = stats.rankdata(sizes)
    positive, total = float(ranks[nonzero > 0].sum()), n * (n + 1) / 2
    exact = n <= EXACT_UP_TO
    p = _exact(ranks, positive) if exact else _approximate(ranks, positive)
    return SignedRank(p, n, exact, min(1.0, 2.0 ** (1 - n)), float(2 * positive / total - 1))


def _exact(ranks: Array, positive: float) -> float:
    """Return the share of all sign assignments whose positive rank sum is at least as far from its mean."""
    doubled = np.round(2 * ranks).astype(np.int64)  # mid-ranks are halves
    ways = np.zeros(int(doubled.sum()) + 1)
    ways[0] = 1.0
    for rank in doubled:
        ways[rank:] = ways[rank:] + ways[: len(ways) - rank]
    low = min(round(2 * positive), len(ways) - 1 - round(2 * positive))
    return float(min(1.0, 2 * ways[: low + 1].sum() / ways.sum()))


def _approximate(ranks: Array, positive: float) -> float:
    from scipy import stats

    # The variance of a sum of independently signed ranks, ties included, is the sum of their squares over 4.
    deviation = (positive - ranks.sum() / 2) / np.sqrt((ranks**2).sum() / 4)
    return float(min(1.0, 2 * stats.norm.sf(abs(deviation))))


def mcnemar(baseline: Array, candidate: Array) -> McNemar:
    """Compare right (1) and wrong (0) answers (n,) to the same questions by an exact binomial test of the changed ones.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions". The test assumes
    independent answers: with several questions on one document its p-value is too small.
    """
    from scipy import stats

    if not np.isin(baseline, (0, 1)).all() or not np.isin(candidate, (0, 1)).all():
        raise ValueError("McNemar's test needs answers that are right (1) or wrong (0)")
    gained, lost = int(((baseline == 0) & (candidate == 1)).sum()), int(((baseline == 1) & (candidate == 0)).sum())
    p = float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return McNemar(p, gained, lost)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values by name, adjusted so that rejecting those below alpha keeps the family-wise error rate at alpha.

    Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted: dict[str, float] = {}
    reached = 0.0
    for position, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        reached = max(reached, min(1.0, (len(p_values) - position) * p_values[name]))
        adjusted[name] = reached
    return {name: adjusted[name] for name in p_values}
