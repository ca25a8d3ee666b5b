"""A test of paired differences that may be looked at after every document, for as long as one likes.

A finite set of N documents is asked in random order, and after each one we bet against a null hypothesis: "on all N
documents together, the differences sum up to `bound` at most". Nobody can expect to win such bets while the hypothesis
is true, so by Ville's inequality (1939) the wealth they lead to ever exceeds 1 / alpha with a probability of at most
alpha, however often it is looked at and whenever one stops. Wealth that exceeds it rejects the hypothesis.

Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS B 86(1), section 5 (sampling
without replacement: a document comes once, so what was seen tells what is left) and appendix B (fixed fractions as
bets, whose mean is the wealth). With all documents seen the hypothesis is decided and nothing is left to chance.

The authors' package confseq (0.0.11) is not used: it exists as C++ sources alone and requires pytest and matplotlib.
tests/metrics/test_sequential.py compares with figures that it gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metrics.api import Array

# The shares of the largest possible bet that are bet at once, each with the same part of the wealth. Which they are
# changes how soon a difference is seen, and not how often one is claimed wrongly.
BETS = (0.1, 0.3, 0.6, 0.95)
_EXACT = 1e-9  # of the sum of differences: what rounding may do to it


def log_wealth(differences: Array, bound: float, total: int) -> Array:
    """Return the logarithm of the wealth after each document, the highest until then: shape (..., n), as differences.

    `differences` are those of the first n of `total` documents in their random order, each between -1 and 1; `bound` is
    the sum over all documents that the null hypothesis does not exceed. inf: what was seen excludes the hypothesis.
    """
    if differences.size and np.abs(differences).max() > 1 + _EXACT:
        raise ValueError("a difference lies beyond -1 to 1")
    if differences.shape[-1] > total:
        raise ValueError(f"{differences.shape[-1]} differences of {total} documents")
    seen = np.cumsum(differences, axis=-1)
    before = seen - differences
    # What the null hypothesis allows the next difference to be on average, given those before it.
    mean = (bound - before) / (total - np.arange(differences.shape[-1]))
    # A bet of `share` pays 1 + share * gain; at share 1 the worst difference, -1, would take all of it. Where the
    # hypothesis leaves nothing but differences of -1, nothing is bet: `certain` sees what contradicts it.
    most = 1 + mean
    gain = np.divide(differences - mean, most, out=np.zeros_like(mean), where=most > _EXACT)
    wealth = [np.cumsum(np.log1p(share * np.maximum(gain, -1.0)), axis=-1) for share in BETS]
    log = np.logaddexp.reduce(wealth, axis=0) - np.log(len(BETS))
    # The hypothesis is false for certain where even differences of -1 from now on would exceed the bound.
    left = total - np.arange(1, differences.shape[-1] + 1)
    certain = np.maximum.accumulate(seen - left > bound + _EXACT, axis=-1)
    log = np.where(certain, np.inf, log)
    return np.asarray(np.maximum.accumulate(log, axis=-1))


def first_rejection(differences: Array, bound: float, total: int, alpha: float) -> int | None:
    """Return after how many documents the null hypothesis of `log_wealth` is rejected at level `alpha`; None: never."""
    hits = np.flatnonzero(log_wealth(differences, bound, total) >= np.log(1 / alpha))
    return int(hits[0]) + 1 if len(hits) else None
