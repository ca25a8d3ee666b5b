"""A paired test of two overall (corpus) figures, with documents as units. The largest of up to three p-values counts.

1. Paired randomisation: the two sides of documents are swapped and the figures computed again. It is exact if the
   candidates are exchangeable (Fisher 1935; Noreen 1989, "Computer Intensive Methods for Testing Hypotheses", who calls
   it approximate randomisation; usual for BLEU and the like: Riezler & Maxwell 2005).
2. A t test corrected for skewness. Equal overall figures do not make the differences symmetric: a candidate may be a
   little better on most documents and ruin a few. Randomisation rejects that too often, a studentised figure does not
   (Janssen 1997, "Studentized permutation tests for non-i.i.d. hypotheses and the generalized Behrens-Fisher problem",
   for large n; Hall 1992 for the skewness of few documents).
3. Where all documents differ nearly alike (the mean is above three standard deviations), their spread says nothing
   about documents that were not observed. Then one document at the worst end of the range is added (metrics.bounded).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics import bounded, statistics

if TYPE_CHECKING:
    from metrics.api import Array
    from metrics.bounded import BoundedSums
    from metrics.statistics import Jackknifed

# Up to so many differing documents all 2**n swaps are counted; beyond, random ones are drawn.
_ALL_SWAPS_UP_TO = 13
# Beyond so many documents the t test replaces the randomisation: their p-values agree to two digits.
_SWAPPED_UP_TO = 500
# If the mean difference exceeds so many standard deviations, the documents are too much alike to be judged by their
# spread. Real effects of this size are rare; the exact limit is a convention (docs/statistics.md).
NEARLY_ALIKE = 3.0
_CELLS = 500_000
_TIE, _ROUNDED = 1e-12, 1e-9


@dataclass(frozen=True, slots=True)
class CorpusTest:
    """The outcome: the two-sided `p` is the largest of `randomised`, `studentised` and `unseen`.

    A part is None where its test was not applied. `method` names the tests in words. `reach` is the end of the range
    that `unseen` assumed, times the weight of the largest document over the mean weight.
    """

    p: float
    method: str
    randomised: float | None
    studentised: float | None
    unseen: float | None
    reach: float | None = None


def corpus_test(
    sides: tuple[Array, Array],
    combine: Callable[[Array], Array],
    difference: Jackknifed,
    sums: BoundedSums | None,
    *,
    draws: int = bounded.DRAWS,
    seed: int = 0,
) -> CorpusTest:
    """Test whether two figures are equal; `sides` are statistics (documents, k) of baseline and candidate.

    `difference` is the jackknifed difference of the figures, candidate minus baseline. `sums` is the same difference as
    a ratio of sums with a range, None if it has no range.
    """
    if difference.deviation == 0 and abs(difference.value) <= _TIE:
        return CorpusTest(1.0, "no document differs", None, None, None)
    randomised, method = None, "skew-corrected t test"
    if len(sides[0]) <= _SWAPPED_UP_TO:
        randomised, how = _swapped(sides, combine, draws, seed)
        method = f"paired randomisation, {how}, and {method}"
    studentised = _studentised(difference)
    unseen, reach = None, None
    if nearly_alike(difference):
        if sums is not None:
            unseen = sums.p_not_zero(draws=draws, seed=seed)
            reach = sums.high * sums.largest
        elif difference.deviation == 0:
            unseen = 1.0
    p_values = [p for p in (randomised, studentised, unseen) if p is not None]
    return CorpusTest(max(p_values), method, randomised, studentised, unseen, reach)


def nearly_alike(difference: Jackknifed) -> bool:
    """Tell whether the documents differ too evenly for their spread to say anything about other documents."""
    return difference.deviation == 0 or abs(difference.value) > NEARLY_ALIKE * difference.deviation


def _studentised(difference: Jackknifed) -> float | None:
    """Return the larger p-value of the t test and the skew-corrected t test; None if all documents are alike."""
    from scipy import stats

    if difference.deviation == 0:
        return None
    t = difference.value / difference.error
    corrected = statistics.skew_corrected(t, difference.skew)
    return float(min(1.0, 2 * stats.t.sf(min(abs(t), abs(corrected)), len(difference.pseudo) - 1)))


def _swapped(sides: tuple[Array, Array], combine: Callable[[Array], Array], draws: int, seed: int) -> tuple[float, str]:
    """Return the p-value of the randomisation test, and whether it is exact or how many draws it took."""
    baseline, candidate = sides
    differ = (baseline != candidate).any(axis=1)
    half = (candidate[differ] - baseline[differ]) / 2
    middle = (baseline + candidate).sum(axis=0) / 2
    whole = candidate.sum(axis=0) - middle
    observed = abs(float(combine(middle + whole)) - float(combine(middle - whole)))
    count, n = 0, len(half)
    exact = n <= _ALL_SWAPS_UP_TO
    swaps = 2**n if exact else draws
    generator, chunk = np.random.default_rng(seed), max(1, _CELLS // n)
    for start in range(0, swaps, chunk):
        rows = min(chunk, swaps - start)
        if exact:
            bits = (np.arange(start, start + rows)[:, None] >> np.arange(n)) & 1
        else:
            bits = generator.integers(0, 2, size=(rows, n), dtype=np.int8)
        moved = np.einsum("bd,dk->bk", 2.0 * bits - 1.0, half)
        swapped_difference = np.abs(combine(middle + moved) - combine(middle - moved))
        # The negated comparison counts a swap with an undefined (NaN) figure as no evidence for a difference.
        count += int((~(swapped_difference < observed * (1 - _ROUNDED) - _TIE)).sum())
    if exact:
        return count / swaps, "exact"
    return (count + 1) / (swaps + 1), f"{swaps:,} draws"
