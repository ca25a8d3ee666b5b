"""Did what answers become slower or faster while it was measured? A test on blocks of answers taken over time.

Documents are dealt to the blocks at random. If nothing changes over time, it makes no difference in which block an
answer stands, so blocks differ as they would if the same answers had been dealt otherwise: a randomisation test (Fisher
1935; Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses"), with p counted as by Phipson and Smyth
2010, "Permutation p-values should never be zero".

Answers that follow each other share what the machine does at that moment, and a test that took them for independent
would cry wolf. So not answers are dealt anew but *batches*, runs of answers that follow each other (the method of batch
means: Conway 1963; Law and Kelton, "Simulation Modeling and Analysis"). That covers disturbances that are shorter than
a batch. Candidates in turns and not one after the other: Abedi and Brecht 2017, "Conducting repeatable experiments in
highly variable cloud computing environments" (ICPE).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from metrics.api import Array

# Of a block: fewer batches are coarser, and more are too short to hold a disturbance.
BATCHES, FEWEST_BATCHES = 8, 4
SHORTEST = 3  # answers of a batch
DRAWS = 9999
CHANCE = 0.95


@dataclass(frozen=True, slots=True)
class Drift:
    """What blocks over time show of one candidate, or of several together.

    `levels` (blocks,) are geometric means of the latencies, each divided by that of the first block. `spread` is how
    much longer the slowest block takes than the fastest one, as a share: 0.12 is 12%. `p` is the probability of at
    least such a spread where nothing changes. `chance` is the spread that is not exceeded with 95% probability then.
    """

    levels: tuple[float, ...]
    spread: float
    p: float
    chance: float

    @property
    def fastest(self) -> int:
        """Return the number of the fastest block, from 0."""
        return self.levels.index(min(self.levels))

    @property
    def slowest(self) -> int:
        """Return the number of the slowest block, from 0."""
        return self.levels.index(max(self.levels))


def batches(answers: int, documents: int) -> int:
    """Return into how many batches a block of so many answers is cut; 0: there are too few for a test.

    A batch holds whole documents, because these were dealt at random, and the questions about one take alike long.
    """
    count = min(BATCHES, answers // SHORTEST, documents)
    return count if count >= FEWEST_BATCHES else 0


def batch_means(documents: Sequence[Sequence[float]], count: int) -> list[float]:
    """Return the mean logarithm of the latencies of each of `count` batches.

    `documents` are the latencies of each document's answers in seconds, documents in the order of sending. A latency of
    0 has no logarithm. Raise ValueError for it, and for fewer documents with an answer than batches.
    """
    if len(documents) < count or min((min(one, default=0.0) for one in documents), default=0.0) <= 0:
        raise ValueError("each batch needs a document with answers, and each answer a latency above 0")
    cuts = [round(number * len(documents) / count) for number in range(count + 1)]
    return [
        float(np.log([latency for one in documents[begin:end] for latency in one]).mean())
        for begin, end in pairwise(cuts)
    ]


def look(means: Array, draws: int = DRAWS) -> Drift:
    """Compare blocks by their batches: `means` (blocks, batches) are mean logarithms of latencies.

    For several candidates `means` is their mean: a batch then is the same documents asked of each.
    """
    means = np.asarray(means, dtype=np.float64)
    if means.ndim != 2 or min(means.shape) < 2:
        raise ValueError("a drift needs two blocks of two batches each")
    levels = means.mean(axis=1)
    observed = float(np.ptp(levels))
    random = np.random.default_rng(0)
    dealt = random.permuted(np.broadcast_to(means.ravel(), (draws, means.size)), axis=1)
    spreads = np.ptp(dealt.reshape(draws, *means.shape).mean(axis=2), axis=1)
    # Sums of the same numbers in another order differ in their last digits.
    extreme = int((spreads >= observed - 1e-12 * max(1.0, observed)).sum())
    return Drift(
        tuple(float(level) for level in np.exp(levels - levels[0])),
        math.expm1(observed),
        (1 + extreme) / (1 + draws),
        math.expm1(float(np.quantile(spreads, CHANCE))),
    )
