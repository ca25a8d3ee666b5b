"""A test of paired differences that may be looked at after every document, for as long as one likes.

A finite set of N documents is asked in random order, and after each one we bet against a null hypothesis: "on all N
documents together, the differences sum up to `bound` at most". Nobody can expect to win such bets while the hypothesis
is true, so by Ville's inequality (1939) the wealth they lead to ever exceeds 1 / alpha with a probability of at most
alpha, however often it is looked at and whenever one stops. Wealth that exceeds it rejects the hypothesis.

Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS B 86(1), section 5 (sampling
without replacement: a document comes once, so what was seen tells what is left) and appendix B (fixed fractions as
bets, whose mean is the wealth). With all documents seen the hypothesis is decided and nothing is left to chance.

Wealth against several hypotheses that are true together may be added up, each part counting as much as was put into it:
if k rivals are to be compared with one candidate, each gets 1 / k (Vovk & Wang 2021, "E-values", Annals of Statistics
49(3): the mean of e-values is one). That rejects whatever Bonferroni's correction rejects, and more.

The authors' package confseq (0.0.11) is not used: it exists as C++ sources alone, requires pytest and matplotlib, and
can't be imported with NumPy 2. tests/metrics/test_sequential.py compares with figures that it gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metrics.api import Array

# The shares of the largest possible bet that are bet at once, each with half of the wealth: the first suits answers
# that are right or wrong, the second scores that differ little. They were chosen among a dozen with the simulations of
# benchmarks/racing.py. They change how soon a difference is seen; with any of them a claim is as seldom wrong.
BETS = (0.4, 0.99)
_EXACT = 1e-9  # of the sum of differences: what rounding may do to it


def log_wealth(differences: Array, bound: float, total: int) -> Array:
    """Return the logarithm of the wealth after each document: shape (..., n), as differences.

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
    return np.asarray(np.where(certain, np.inf, log))
