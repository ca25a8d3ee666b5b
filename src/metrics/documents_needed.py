"""How many documents would settle a comparison."""

from __future__ import annotations

import math

POWER = 0.8
# Of normal differences the signed-rank test needs pi/3 times as many as the t-test (Lehmann 1975, "Nonparametrics").
_RELATIVE_NEED = math.pi / 3


def fewest_for(alpha: float) -> int:
    """Return the least number of documents with which the exact signed-rank test can fall below `alpha` at all."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    return math.ceil(1 - math.log2(alpha))


def documents_needed(mean: float, deviation: float, *, alpha: float, power: float = POWER) -> int | None:
    """Return how many documents in all find a true difference `mean` with probability `power`; None if there is none.

    `mean` and `deviation` (n - 1) are of the documents' differences, in the units of the measure; `alpha` is two-sided
    and already divided among the comparisons of a family. n = pi/3 * ((z(1 - alpha/2) + z(power)) * deviation / mean)^2
    + z(1 - alpha/2)^2 / 2, and never below what the exact test needs. It takes the difference seen so far for the true
    one: an estimate, better made with the smallest difference that matters.
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
