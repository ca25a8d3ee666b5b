"""Is the overall figure of one run another than that of the other? A test of the figure itself, documents as units.

Three questions, and the largest p decides:

1. Could the sides be swapped? Under every swap of a document's two sides the figures are made anew. Exact where the
   candidates are exchangeable (Fisher 1935; Noreen 1989, "Computer Intensive Methods for Testing Hypotheses", who calls
   it approximate randomisation; usual for BLEU and the like: Riezler & Maxwell 2005).
2. Is the figure away from 0 by more than its own error, once skewness is taken out? Equal figures do not make
   differences symmetric: a candidate that is mostly a little better and rarely ruins a document. A swap takes those for
   different; the studentised figure does not (Janssen 1997, "Studentized permutation tests for non-i.i.d. hypotheses
   and the generalized Behrens-Fisher problem", for large n; Hall 1992 for the skewness of few documents).
3. Where documents differ nearly alike (the mean is above three standard deviations), their spread says nothing of
   documents that were not seen. Then a document of the worst kind is put in (metrics.bounded).
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

# 2**13 swaps are all counted, more documents that differ are drawn from.
_ALL_SWAPS_UP_TO = 13
# Beyond so many documents the t distribution stands for the swaps: they differ in the third digit.
_SWAPPED_UP_TO = 500
# Means of more standard deviations than this: too much alike to judge by their spread. Normal differences of so large
# an effect are rare, and what lies between is no less a guess (docs/statistics.md).
NEARLY_ALIKE = 3.0
_CELLS = 500_000
_TIE, _ROUNDED = 1e-12, 1e-9


@dataclass(frozen=True, slots=True)
class CorpusTest:
    """The outcome: `p` (two-sided) is the largest of its parts, each of which is there where its question is asked.

    `method` says how p was found, for people. `reach` is the end of the range that the third question was asked with,
    times the largest document's weight over the mean.
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

    `difference` is that of the figures, candidate minus baseline, `sums` the same as a ratio with a range, if it has
    one.
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
    found = [p for p in (randomised, studentised, unseen) if p is not None]
    return CorpusTest(max(found), method, randomised, studentised, unseen, reach)


def nearly_alike(difference: Jackknifed) -> bool:
    """Tell whether documents differ too evenly for their spread to say what others may do."""
    return difference.deviation == 0 or abs(difference.value) > NEARLY_ALIKE * difference.deviation


def _studentised(difference: Jackknifed) -> float | None:
    """Return the larger p of the t test and of the skew-corrected one; None where all documents are alike."""
    from scipy import stats

    if difference.deviation == 0:
        return None
    t = difference.value / difference.error
    corrected = statistics.skew_corrected(t, difference.skew)
    return float(min(1.0, 2 * stats.t.sf(min(abs(t), abs(corrected)), len(difference.pseudo) - 1)))


def _swapped(sides: tuple[Array, Array], combine: Callable[[Array], Array], draws: int, seed: int) -> tuple[float, str]:
    """Return how often a swap of sides makes a difference as large as the one found, and how they were counted."""
    baseline, candidate = sides
    differ = (baseline != candidate).any(axis=1)
    half = (candidate[differ] - baseline[differ]) / 2
    middle = (baseline + candidate).sum(axis=0) / 2
    whole = candidate.sum(axis=0) - middle
    seen = abs(float(combine(middle + whole)) - float(combine(middle - whole)))
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
        made = np.abs(combine(middle + moved) - combine(middle - moved))
        # A swap under which a figure is undefined (nothing was counted on one side) speaks for nothing.
        count += int((~(made < seen * (1 - _ROUNDED) - _TIE)).sum())
    if exact:
        return count / swaps, "exact"
    return (count + 1) / (swaps + 1), f"{swaps:,} draws"
