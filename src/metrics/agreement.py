"""How well a measure, or a judge, agrees with people who scored the same answers.

agreement(human=(n,), measured=(n,), documents=n names)  ->  rank correlation, kappa, with intervals over documents
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics import statistics

if TYPE_CHECKING:
    from metrics.api import Array

# With more levels than this two raters cannot be expected to agree exactly, so only rank correlation is reported.
LEVELS = 11
REPLICATES = 1000


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement on `n` answers about `documents` documents; intervals are 95% percentile bootstraps over documents.

    `spearman` is the rank correlation (Spearman 1904), None if one side gave every answer the same score. `kappa` is
    Cohen's kappa with quadratic weights (Cohen 1968), `equal` the share of equal scores, `bias` the mean of measured
    minus human. These three are None unless both sides use the same scale of at most 11 levels. Intervals are None with
    fewer than two documents.
    """

    n: int
    documents: int
    spearman: float | None
    spearman_interval: statistics.Interval | None
    kappa: float | None
    kappa_interval: statistics.Interval | None
    equal: float | None
    bias: float | None


def agreement(human: Array, measured: Array, documents: Sequence[str], *, seed: int = 0) -> Agreement:
    """Compare two scores (n,) of the same answers. Raise ValueError for no answers or a score that is not finite."""
    human, measured = np.asarray(human, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if len(human) != len(measured) or len(human) != len(documents):
        raise ValueError("each answer needs both scores and its document")
    if not len(human) or not (np.isfinite(human).all() and np.isfinite(measured).all()):
        raise ValueError("there is no answer with both scores" if not len(human) else "a score is not a number")
    one_scale = set(measured) <= set(human) or set(human) <= set(measured)
    one_scale = one_scale and len({*human, *measured}) <= LEVELS
    pair = np.stack([human, measured], axis=1)
    return Agreement(
        n=len(human),
        documents=len(set(documents)),
        spearman=_known(spearman(pair)),
        spearman_interval=_interval(spearman, pair, documents, seed),
        kappa=_known(kappa(pair)) if one_scale else None,
        kappa_interval=_interval(kappa, pair, documents, seed) if one_scale else None,
        equal=float((human == measured).mean()) if one_scale else None,
        bias=float((measured - human).mean()) if one_scale else None,
    )


def spearman(pair: Array) -> float:
    """Return Spearman's rank correlation of two columns (n, 2); ties get their mean rank. NaN for a constant column."""
    from scipy import stats

    ranks = stats.rankdata(pair, axis=0)
    deviations = ranks - ranks.mean(axis=0)
    scale = float(np.sqrt((deviations**2).sum(axis=0).prod()))
    return float((deviations[:, 0] * deviations[:, 1]).sum() / scale) if scale > 0 else float("nan")


def kappa(pair: Array) -> float:
    """Return Cohen's kappa with quadratic weights of two columns (n, 2). NaN if both are constant and equal.

    It is 1 minus the mean squared difference, divided by its expected value for independent columns.
    """
    first, second = pair[:, 0], pair[:, 1]
    expected = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    return 1 - float(((first - second) ** 2).mean()) / expected if expected > 0 else float("nan")


def _interval(
    figure: Callable[[Array], float], pair: Array, documents: Sequence[str], seed: int
) -> statistics.Interval | None:
    """Return the percentile bootstrap interval; whole documents are resampled, each with all its answers."""
    names, cluster = np.unique(np.asarray(documents), return_inverse=True)
    if len(names) < statistics.MIN_DOCUMENTS:
        return None
    members = [np.flatnonzero(cluster == document) for document in range(len(names))]
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(REPLICATES):
        drawn = generator.integers(0, len(names), len(names))
        values.append(figure(pair[np.concatenate([members[document] for document in drawn])]))
    finite = np.array([value for value in values if np.isfinite(value)])
    # A resample in which one side is constant has no value. If more than a tenth is like that, there is no interval.
    return statistics.percentile_interval(finite, statistics.CONFIDENCE) if len(finite) > 0.9 * REPLICATES else None


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
