"""Which candidates of a race are shown to be worse than others, from the scores of the documents asked so far.

The documents are asked in a random order. A candidate bets against each of its k - 1 rivals with a (k - 1)th of its
wealth (metrics.sequential): that on all documents together the rival is better by more than `report.margin`. One that
is worse by less may still be recommended, being cheaper. A candidate is shown to be worse once the wealth has grown to
1 / `race.error`. Against a rival that is itself asked no more the wealth stays as it was.

For the candidate that is best on all documents every such bet is a losing one, and the wealth of losing bets exceeds
1 / `race.error` with a probability of at most `race.error`, however often one looks. The same holds for each of several
that are equally good, and for each that is within the margin. Rivals may be left out later, whatever the reason: the
others count no more for that.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from metrics.api import Measure
from metrics.sequential import log_wealth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metrics.api import Array


class Standings:
    """Compares the candidates of a race, of whom there are `candidates`.

    `documents` are the ids of the samples of each document, in the order of the race.
    """

    def __init__(
        self, documents: Sequence[Sequence[str]], measure: Measure, *, margin: float, error: float, candidates: int
    ) -> None:
        """Raise ValueError for a measure without a range."""
        if measure.high is None:
            raise ValueError(f"{measure.name} has no range")
        sizes = np.array([len(samples) for samples in documents], dtype=np.int64)
        self._ends: NDArray[np.int64] = np.cumsum(sizes)
        self._begins: NDArray[np.int64] = self._ends - sizes
        self._places = {sample: place for place, sample in enumerate(itertools.chain.from_iterable(documents))}
        self._limit = np.log(max(candidates - 1, 1) / error)
        # The sum over a document of the differences of its samples lies within this.
        largest = (measure.high - measure.low) * int(sizes.max())
        self._scale = (1 if measure.better == "higher" else -1) / largest
        # Of all samples, though some may have no score: the margin of those that have is smaller, and exceeded sooner.
        self._bound = margin * len(self._places) / largest

    def scores(self) -> Array:
        """Return the scores (samples,) of a candidate that has none yet: NaN for each sample, in the race's order."""
        return np.full(len(self._places), np.nan)

    def enter(self, scores: Array, values: Mapping[str, float]) -> None:
        """Enter the scores of samples, each the mean over the repeats that have one."""
        for sample, value in values.items():
            scores[self._places[sample]] = value

    def worse_after(self, candidate: Array, asked: int, rivals: Sequence[tuple[Array, int]]) -> tuple[int, int] | None:
        """Return after how many documents a candidate is shown to be worse than some rival; None if it isn't.

        With it comes the number of the rival against whom most was won. `asked` is about how many documents the
        candidate was asked; `rivals` are the scores of each rival and about how many it was asked.
        """
        wealth = [self._wealth(candidate, scores, asked, others) for scores, others in rivals if min(asked, others)]
        numbers = [number for number, (_, others) in enumerate(rivals) if min(asked, others)]
        if not wealth:
            return None
        hits = np.flatnonzero(np.logaddexp.reduce(wealth, axis=0) >= self._limit)
        if not len(hits):
            return None
        first = int(hits[0])
        return first + 1, numbers[int(np.argmax([one[first] for one in wealth]))]

    def _wealth(self, candidate: Array, rival: Array, asked: int, others: int) -> Array:
        """Return the logarithm of the wealth (asked,) of bets that the rival is better."""
        shared = min(asked, others)
        differences = np.nan_to_num(rival - candidate)[: self._ends[shared - 1]]
        scaled = self._scale * np.add.reduceat(differences, self._begins[:shared])
        log = log_wealth(scaled, self._bound, len(self._ends))
        return np.concatenate([log, np.full(asked - shared, log[-1])])

    def difference(self, candidate: Array, rival: Array, asked: int) -> float:
        """Return candidate minus rival: the mean over the samples of the first `asked` documents with both scores."""
        differences = (candidate - rival)[: self._ends[asked - 1]]
        return 0.0 if np.isnan(differences).all() else float(np.nanmean(differences))
