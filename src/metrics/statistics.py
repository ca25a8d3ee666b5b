"""How sure a figure is: a bootstrap over documents on additive statistics.

A metric's statistics add up, so a resample of documents is a vector of weights and all resamples are one matrix
product: (B, documents) @ (documents, k). Questions on one document, and repeats of one question, are not independent;
drawing whole documents keeps them together (Cameron, Gelbach & Miller 2008, "Bootstrap-based improvements for inference
with clustered errors").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metrics.api import Array

REPLICATES = 2000
CONFIDENCE = 0.95
MIN_DOCUMENTS = 2
# Weights held at once: so few stay in a core's cache while they are counted and multiplied.
_CHUNK_CELLS = 50_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval in the units of its measure."""

    low: float
    high: float


def ratio_of_sums(totals: Array) -> Array:
    """Return numerator / denominator of summed statistics (..., 2), NaN where nothing was counted.

    It serves corpus figures (edits, reference length) and means (sum of values, number of samples) alike.
    """
    numerator, denominator = totals[..., 0], totals[..., 1]
    ratio: Array = np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)
    return ratio


def _document_weights(documents: int, replicates: int, seed: int) -> Iterator[Array]:
    """Yield chunks (b, documents) of how often each document is drawn; each row sums to `documents`."""
    # Counting uniform draws is the multinomial distribution, several times faster than numpy's own sampler for it.
    random = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_CELLS // documents)
    for start in range(0, replicates, chunk):
        rows = min(chunk, replicates - start)
        drawn = random.integers(0, documents, size=(rows, documents), dtype=np.uint32)
        cells = drawn + np.arange(rows)[:, None] * documents
        counts = np.bincount(cells.ravel(), minlength=rows * documents)
        yield counts.reshape(rows, documents).astype(np.float64)


def resample_totals(totals: Array, *, replicates: int = REPLICATES, seed: int = 0) -> Array:
    """Resample documents with replacement and sum their statistics.

    `totals` has one row of summed statistics per document, shape (documents, k); the result has shape (replicates, k).
    The same seed and number of documents give the same resamples, so columns of several measures may stand side by
    side. Beside the result a few MB are held, or for more than 50,000 documents a few rows of weights.
    """
    if totals.ndim != 2 or not len(totals):
        raise ValueError(f"totals need the shape (documents, k), not {totals.shape}")
    if replicates < 1:
        raise ValueError(f"replicates must be at least 1, not {replicates}")
    by_statistic = np.ascontiguousarray(totals.T)
    # Not BLAS: it spreads such narrow products over threads that wait up to ten times longer than they work, and its
    # order of summation differs from machine to machine.
    chunks = _document_weights(len(totals), replicates, seed)
    return np.concatenate([np.einsum("bd,kd->bk", weights, by_statistic) for weights in chunks])


def percentile_interval(values: Array, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the central percentile interval of replicates (B,), or None where some replicate is undefined (NaN).

    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if not np.isfinite(values).all():
        return None
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return Interval(float(low), float(high))


def bootstrap_interval(
    totals: Array,
    combine: Callable[[Array], Array],
    *,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval | None:
    """Return the percentile interval of `combine(sum of totals)` under resampling of documents.

    `totals`: (documents, k), statistics summed within each document; `combine`: (B, k) -> (B,). Fewer than two
    documents say nothing about other documents: None, not an interval of width zero.
    """
    if len(totals) < MIN_DOCUMENTS:
        return None
    return percentile_interval(combine(resample_totals(totals, replicates=replicates, seed=seed)), confidence)
