"""Did the machine change while answers were measured? Latencies of blocks of documents that were asked over time.

Documents are dealt to the blocks at random, so blocks differ by what their documents take, by chance, and by what the
machine did meanwhile. Most of what a document takes is known: the lengths of prompt and answer in tokens. The logarithm
of the latency is therefore adjusted for theirs (analysis of covariance: Fisher 1932; dealt at random, its estimate is
sound even where latencies do not follow the lengths in this way: Lin 2013, "Agnostic notes on regression adjustments to
experimental data"). The unit is the document: questions about one take alike long.

What is estimated is how fast the machine was *during each block*, and not how fast it is in general. A disturbance that
lasts half a block is a difference between these blocks, as a throttled GPU is; that it would come again isn't claimed.

Whether one candidate is slower than another is another question, and its units are the blocks: they are asked about the
same documents in each, in turns (Abedi and Brecht 2017, "Conducting repeatable experiments in highly variable cloud
computing environments", ICPE), and what disturbs one of them for a while makes blocks disagree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

FEWEST = 4  # documents of a block: with fewer their spread is hardly known
ALPHA = 0.05


class Document(NamedTuple):
    """The answers about one document in one block.

    `log_latency` is the mean natural logarithm of their latencies in seconds. `log_lengths` are the means of the
    logarithms of their lengths, such as those of prompt and answer in tokens; empty where these are not known.
    """

    log_latency: float
    log_lengths: tuple[float, ...] = ()


class Level(NamedTuple):
    """How long answers took in one block: a mean natural logarithm of seconds, as if all blocks had equal lengths.

    `error` is its standard error, `degrees` are the degrees of freedom of that.
    """

    value: float
    error: float
    degrees: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far the blocks of a candidate, or of several together, are apart.

    `levels` are how long answers took in each block, divided by the first one. `spread` is how much longer they took in
    the slowest block than in the fastest, as a share: 0.12 is 12%. `at_least` and `at_most` are between which shares it
    lies; a spread of which it is not shown that there is any has 0 for `at_least`.
    """

    levels: tuple[float, ...]
    spread: float
    at_least: float
    at_most: float

    @property
    def fastest(self) -> int:
        """Return the number of the fastest block, from 0."""
        return self.levels.index(min(self.levels))

    @property
    def slowest(self) -> int:
        """Return the number of the slowest block, from 0."""
        return self.levels.index(max(self.levels))


@dataclass(frozen=True, slots=True)
class Ratio:
    """How much longer one candidate takes than another, as shares: in each block, their mean, and its interval."""

    blocks: tuple[float, ...]
    mean: float
    low: float
    high: float


def levels(blocks: Sequence[Sequence[Document]]) -> list[Level] | None:
    """Return how long answers took in each block; None where a block has fewer than four documents.

    Lengths are left out where those of a document are not known, or where there are too few documents to learn from.
    """
    if min(map(len, blocks), default=0) < FEWEST:
        return None
    sizes = np.array([len(block) for block in blocks])
    group = np.repeat(np.arange(len(blocks)), sizes)
    everything = [document for block in blocks for document in block]
    latencies = np.array([document.log_latency for document in everything])
    known = {len(document.log_lengths) for document in everything}
    lengths = np.array([document.log_lengths if len(known) == 1 else () for document in everything])

    def means(of: np.ndarray) -> np.ndarray:
        return np.array([of[group == number].mean(axis=0) for number in range(len(blocks))])

    within = latencies - means(latencies)[group]
    apart = lengths - means(lengths)[group]
    slope, _, rank, _ = np.linalg.lstsq(apart, within) if lengths.size else (np.zeros(0), 0, 0, 0)
    if latencies.size - len(blocks) - int(rank) < 2 * int(rank) + 1:
        slope, rank = np.zeros_like(slope), 0
    rest = within - apart @ slope
    values = means(latencies) - (means(lengths) - lengths.mean(axis=0)) @ slope
    free = latencies.size - len(blocks)
    variances = np.array([np.square(rest[group == number]).sum() for number in range(len(blocks))]) / (sizes - 1)
    errors = np.sqrt(variances * free / (free - int(rank)) / sizes)
    return [
        Level(float(value), float(error), float(size - 1))
        for value, error, size in zip(values, errors, sizes, strict=True)
    ]


def together(candidates: Sequence[Sequence[Level]]) -> list[Level]:
    """Return how long answers of all candidates took in each block, each candidate counting alike.

    They are asked about the same documents, so their errors go together: the error of the mean is taken to be the mean
    of the errors, which it can't exceed.
    """
    return [
        Level(
            float(np.mean([one.value for one in block])),
            float(np.mean([one.error for one in block])),
            min(one.degrees for one in block),
        )
        for block in zip(*candidates, strict=True)
    ]


def look(blocks: Sequence[Level], tests: int = 1) -> Drift:
    """Say how far blocks are apart, by intervals that hold at once for all pairs of blocks with 95% probability.

    The intervals are Welch's, with Bonferroni's correction for the pairs, and for the number of such `tests` that are
    made beside each other. Raise ValueError for fewer than two blocks.
    """
    if len(blocks) < 2:
        raise ValueError("a drift needs two blocks")
    pairs = list(combinations(blocks, 2))
    at_least = at_most = 0.0
    for one, other in pairs:
        apart, half = abs(one.value - other.value), _half(one, other, ALPHA / len(pairs) / tests)
        at_least, at_most = max(at_least, apart - half), max(at_most, apart + half)
    values = np.array([block.value for block in blocks])
    return Drift(
        tuple(float(level) for level in np.exp(values - values[0])),
        *(_share(one) for one in (float(np.ptp(values)), at_least, at_most)),
    )


def ratio(blocks: Sequence[Level], others: Sequence[Level], tests: int = 1) -> Ratio:
    """Compare a candidate with another that was asked about the same documents, block by block.

    The interval is Student's, the blocks are its units; it holds with 95% probability for all of so many `tests`. Raise
    ValueError for fewer than two blocks.
    """
    if len(blocks) < 2:
        raise ValueError("a comparison needs two blocks")
    apart = np.array([block.value - other.value for block, other in zip(blocks, others, strict=True)])
    half = _quantile(len(apart) - 1, ALPHA / tests) * float(apart.std(ddof=1)) / math.sqrt(len(apart))
    mean = float(apart.mean())
    return Ratio(tuple(_share(float(one)) for one in apart), *(_share(one) for one in (mean, mean - half, mean + half)))


def _half(one: Level, other: Level, alpha: float) -> float:
    """Return half the width of the interval of the difference between two blocks."""
    squares = one.error**2 + other.error**2
    if squares == 0:
        return 0.0
    degrees = squares**2 / (one.error**4 / one.degrees + other.error**4 / other.degrees)
    return _quantile(degrees, alpha) * math.sqrt(squares)


def _quantile(degrees: float, alpha: float) -> float:
    return float(stdtrit(degrees, 1 - alpha / 2))


def _share(logarithm: float) -> float:
    return math.expm1(min(logarithm, 700.0))  # beyond it the largest float: an interval of two blocks may be endless
