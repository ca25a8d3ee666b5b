"""Confidence bounds of a figure that assume nothing but the range of one document's figure.

With few documents other bounds fail: if one document in twenty is ruined, 36% of all samples of twenty documents
contain no ruined one. The bound therefore adds one document that was not observed, as large as the
largest and at the end of the range, and weights all documents at random (exponential weights: a Bayesian bootstrap that
includes the end of the range). The quantile of the weighted figure is the bound. For right and wrong answers that is
the exact bound of Clopper & Pearson; if all documents are alike it is the rule of three.

Gaffke 2005, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable";
Learned-Miller & Thomas 2020, "A new confidence interval for the mean of a bounded random variable", who show that it is
never wider than Anderson's (1969) and Hoeffding's. That it always holds is a conjecture; no counterexample is known.
benchmarks/statistics_coverage.py measures its coverage here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metrics.api import Array, Measure

DRAWS = 9_999
# Random weights that are held at a time: 8 MB.
_CELLS = 1_000_000
# Up to 1,000 documents all draws are made. Beyond, fewer draws keep the work constant, but never fewer than 2,000.
_ALL_DRAWS_UP_TO, _LEAST_DRAWS = 1_000, 2_000
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class BoundedSums:
    """A ratio of sums over n documents: sum of `numerators` (n,) over sum of `weights` (n,).

    The ratio of each single document lies in [low, high].
    """

    numerators: Array
    weights: Array
    low: float
    high: float

    def bounds(self, tail: float, *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
        """Return a lower and an upper bound. The true ratio lies beyond each with a probability of at most `tail`."""
        sums, extra = self._drawn(draws, seed)
        extra = extra * self.weights.max()
        whole = sums[:, 1] + extra
        low = float(np.quantile((sums[:, 0] + self.low * extra) / whole, tail))
        return low, float(np.quantile((sums[:, 0] + self.high * extra) / whole, 1 - tail))

    def p_not_zero(self, *, draws: int = DRAWS, seed: int = 0) -> float:
        """Return the two-sided p-value of the hypothesis that the ratio is 0; 0 must lie within the range."""
        sums, extra = self._drawn(draws, seed)
        extra = extra * self.weights.max()
        below = ((sums[:, 0] + self.low * extra) <= 0).sum()
        above = ((sums[:, 0] + self.high * extra) >= 0).sum()
        return float(min(1.0, 2 * (min(below, above) + 1) / (len(extra) + 1)))

    @property
    def largest(self) -> float:
        """The weight of the largest document over the mean weight."""
        return float(self.weights.max() / self.weights.mean())

    def _drawn(self, draws: int, seed: int) -> tuple[Array, Array]:
        """Return randomly weighted sums (draws, 2) and the weight (draws,) of the document that was not observed."""
        n = len(self.weights)
        if n > _ALL_DRAWS_UP_TO:
            draws = max(min(draws, _LEAST_DRAWS), draws * _ALL_DRAWS_UP_TO // n)
        columns = np.stack([self.numerators, self.weights])
        sums = np.concatenate([np.einsum("bd,kd->bk", weights, columns) for weights in _weights(n, draws, seed)])
        return sums, np.random.default_rng([seed, 1]).standard_exponential(draws)


def _weights(documents: int, draws: int, seed: int) -> Iterable[Array]:
    """Return chunks (b, documents) of exponential weights. Small ones are cached for the next call."""
    if documents * draws <= _CELLS:
        return [_kept_weights(documents, draws, seed)]
    generator, chunk = np.random.default_rng(seed), max(1, _CELLS // documents)
    sizes = [min(chunk, draws - start) for start in range(0, draws, chunk)]
    return (generator.standard_exponential((rows, documents)) for rows in sizes)


@functools.lru_cache(maxsize=4)
def _kept_weights(documents: int, draws: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_exponential((draws, documents))


def of_figure(measure: Measure, combine: Callable[[Array], Array], totals: Array) -> BoundedSums | None:
    """Return the figure of statistics (documents, k) as a ratio of sums with its range; None if it has no range.

    The range is that of the measure. Error rates have no upper end (a long answer to a short reference can have any
    number of errors), so the rate of an empty answer, `measure.worst`, is assumed to be the worst of any document. If
    the data contradict this, there is no range.
    """
    low, high = measure.low, measure.worst if measure.high is None else measure.high
    if high is None or not math.isfinite(low) or not is_ratio(combine, totals):
        return None
    numerators, weights = totals.T
    slack = _ROUNDING * (1 + abs(high))
    if (numerators > (high + slack) * weights).any() or (numerators < (low - slack) * weights).any():
        return None
    return BoundedSums(numerators, weights, low, high)


def of_difference(
    measure: Measure, combine: Callable[[Array], Array], baseline: Array, candidate: Array
) -> BoundedSums | None:
    """Return the difference of two figures, candidate minus baseline, as a ratio of sums with its range.

    None unless both have a range and the same denominators (reference lengths or numbers of samples by document).
    """
    sides = [of_figure(measure, combine, side) for side in (baseline, candidate)]
    if sides[0] is None or sides[1] is None or not np.allclose(sides[0].weights, sides[1].weights, rtol=_ROUNDING):
        return None
    reach = sides[0].high - sides[0].low
    return BoundedSums(sides[1].numerators - sides[0].numerators, sides[0].weights, -reach, reach)


def is_ratio(combine: Callable[[Array], Array], totals: Array) -> bool:
    """Tell whether a figure is the first statistic divided by the second. BLEU and perplexity are not."""
    if totals.shape[1] != 2 or (totals[:, 1] < 0).any():
        return False
    counted = totals[totals[:, 1] > 0]
    return len(counted) > 0 and np.allclose(combine(counted), counted[:, 0] / counted[:, 1], rtol=_ROUNDING)


def fewest_within(margin: float, reach: float, tail: float, largest: float = 1.0) -> int:
    """Return the smallest number of documents with which the bound can be below `margin`, if none of them differs.

    `reach` is the end of the range, `largest` the weight of the largest document over the mean weight. With documents
    of equal size it is ln(tail) / ln(1 - margin / reach): 299 for a margin of 0.01 in a range of 1 at 95%.
    """
    if margin >= reach:
        return 1
    return math.ceil(math.log(1 / tail) / math.log1p(margin / (largest * (reach - margin))) - _ROUNDING)


def fewest_alike(difference: float, reach: float, tail: float) -> int:
    """Return how many documents that all differ by `difference` reject a difference of 0; `tail` is one-sided."""
    return math.ceil(math.log(1 / tail) / math.log1p(abs(difference) / reach))
