"""Paired tests that stay exact with few documents, and Holm's correction for several of them.

Ten documents that all differ in one direction give the smallest p that ten can: 2 / 2**10 = 0.00195.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metrics.api import Array

# Up to here all 2**n signs are counted; above, the normal approximation is good to three digits.
EXACT_UP_TO = 50
# Differences that close to each other (or to 0) are ties: they differ by rounding, not by what was measured.
_TIE = 1e-12


@dataclass(frozen=True, slots=True)
class SignedRank:
    """Outcome of the signed-rank test. `n` differences are not zero.

    `p` is two-sided. `smallest_p` is what `n` differences of one sign would give: a family in which that is too large
    can't decide anything, whatever the scores. `rank_biserial` is the effect size, -1 to 1: the share of rank sum in
    favour of a positive difference less the share against it (Kerby 2014, "The simple difference formula").
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

    Wilcoxon 1945, "Individual comparisons by ranking methods": zeros are left out, ties share the mean of their ranks.
    The exact distribution is the one given these ranks, so ties don't spoil it; beyond 50 differences the normal
    approximation with tie correction is used.
    """
    from scipy import stats

    differences = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(differences).all():
        raise ValueError("a difference is not a number; leave out what is not scored on both sides")
    scale = float(np.abs(differences).max(initial=0.0))
    kept = differences[np.abs(differences) > _TIE * max(scale, 1.0)]
    n = len(kept)
    if not n:
        return SignedRank(p=1.0, n=0, exact=True, smallest_p=1.0, rank_biserial=0.0)
    sizes = np.round(np.abs(kept) / (_TIE * scale)) * _TIE if scale else np.abs(kept)
    ranks = stats.rankdata(sizes)
    positive, total = float(ranks[kept > 0].sum()), n * (n + 1) / 2
    exact = n <= EXACT_UP_TO
    p = _exact(ranks, positive) if exact else _approximate(ranks, positive)
    return SignedRank(p, n, exact, min(1.0, 2.0 ** (1 - n)), float(2 * positive / total - 1))


def _exact(ranks: Array, positive: float) -> float:
    """Count, over all signs of the ranks, how often the sum of positive ones is at least as far from its mean."""
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
    """Compare right (1) and wrong (0) answers (n,) to the same questions: an exact binomial test of those that differ.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions". It takes answers as
    independent of each other: with several questions on one document its p is too small.
    """
    from scipy import stats

    if not np.isin(baseline, (0, 1)).all() or not np.isin(candidate, (0, 1)).all():
        raise ValueError("McNemar's test needs answers that are right (1) or wrong (0)")
    gained, lost = int(((baseline == 0) & (candidate == 1)).sum()), int(((baseline == 1) & (candidate == 0)).sum())
    p = float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return McNemar(p, gained, lost)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return adjusted p by name: rejecting those below alpha, at most alpha of all families hold any false rejection.

    Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    adjusted: dict[str, float] = {}
    reached = 0.0
    for position, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        reached = max(reached, min(1.0, (len(p_values) - position) * p_values[name]))
        adjusted[name] = reached
    return {name: adjusted[name] for name in p_values}
