"""Power analysis: how many documents a comparison needs."""

from __future__ import annotations

import math

POWER = 0.8
# For normal differences the signed-rank test needs pi/3 times the documents of the t test (Lehmann 1975,
# "Nonparametrics").
_RELATIVE_NEED = math.pi / 3


def fewest_for(alpha: float) -> int:
    """Return the smallest number of documents with which the exact signed-rank test can reach a p below `alpha`."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    return math.ceil(1 - math.log2(alpha))


def documents_needed(mean: float, deviation: float, *, alpha: float, power: float = POWER) -> int | None:
    """Return how many documents in all detect a true difference `mean` with probability `power`; None if `mean` is 0.

    `mean` and `deviation` (n - 1) are those of the documents' differences, in the units of the measure. `alpha` is
    two-sided and already divided by the number of comparisons in the family.
    n = pi/3 * ((z(1 - alpha/2) + z(power)) * deviation / mean)^2 + z(1 - alpha/2)^2 / 2, but at least what the exact
    test needs. It is an estimate: it assumes that the observed difference is the true one. For planning, pass the
    smallest difference that matters.
    """
    from scipy import stats

    if not 0 < power < 1:
        raise ValueError(f"power must lie between 0 and 1, not {power}")
    if deviation < 0 or not math.isfinite(mean) or not math.isfinite(deviation):
        raise ValueError(f"no mean and deviation of differences: {mean}, {deviation}")
    fewest = fewest_for(alpha)
    if mean == 0:
        return None
    critical, reach = float(stats.norm.isf(alpha / 2)), float(stats.norm.ppf(power))
    wanted = _RELATIVE_NEED * ((critical + reach) * deviation / mean) ** 2 + critical**2 / 2
    return max(fewest, math.ceil(wanted)) if wanted < 1e9 else None
