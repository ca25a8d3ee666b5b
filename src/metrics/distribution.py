"""The summary statistics that published tables give for a column of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z_95 = 1.96


@dataclass(frozen=True, slots=True)
class Distribution:
    """Summary of n values, in their units. `std` uses n - 1. None where `std` or the geometric mean is undefined."""

    n: int
    mean: float
    std: float | None
    median: float
    geometric_mean: float | None
    total: float

    @property
    def naive_ci95_halfwidth(self) -> float | None:
        """Return 1.96 std / sqrt(n), as reports publish it. It assumes that repeats and questions are independent."""
        return None if self.std is None else Z_95 * self.std / math.sqrt(self.n)


def distribution(values: Sequence[float]) -> Distribution | None:
    """Summarise values (n,); None for no values. Raise ValueError for a value that is not finite."""
    if not len(values):
        return None
    column = np.asarray(values, dtype=np.float64)
    if not np.isfinite(column).all():
        raise ValueError("a value is not finite; leave out what is not scored")
    return Distribution(
        n=len(column),
        mean=float(column.mean()),
        std=float(column.std(ddof=1)) if len(column) > 1 else None,
        median=float(np.median(column)),
        geometric_mean=float(np.exp(np.log(column).mean())) if (column > 0).all() else None,
        total=float(column.sum()),
    )
