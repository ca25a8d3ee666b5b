"""Which candidate of a race is shown to be worse than which, from the scores of the documents both were asked about.

The documents are asked in a random order. For each pair of candidates the difference on each document is one bet of
metrics.sequential, against "on all documents together the one is worse than the other by `report.margin` at most". A
candidate that is worse by less may still be recommended, being cheaper, so it is not stopped.

The candidate that is best on all documents is stopped only if one of its k - 1 true hypotheses is rejected, each with a
probability of at most error / (k - 1), however often they are looked at. So it is stopped with a probability of at most
`race.error`. The same holds for each of several candidates that are equally good.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from metrics.api import Measure
from metrics.sequential import first_rejection

if TYPE_CHECKING:
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
        sizes = [len(samples) for samples in documents]
        self._ends = np.cumsum(sizes)
        self._begins = self._ends - sizes
        self._places = {sample: place for place, sample in enumerate(itertools.chain.from_iterable(documents))}
        self._alpha = error / max(candidates - 1, 1)
        # The sum over a document of the differences of its samples lies within this.
        largest = (measure.high - measure.low) * max(sizes)
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

    def worse_after(self, candidate: Array, rival: Array, asked: int) -> int | None:
        """Return after how many documents a candidate is shown to be worse than a rival; None if it isn't.

        Both were asked about the first `asked` documents.
        """
        differences = np.nan_to_num(rival - candidate)[: self._ends[asked - 1]]
        scaled = self._scale * np.add.reduceat(differences, self._begins[:asked])
        return first_rejection(scaled, self._bound, len(self._ends), self._alpha)

    def difference(self, candidate: Array, rival: Array, asked: int) -> float:
        """Return candidate minus rival: the mean over the samples of the first `asked` documents with both scores."""
        differences = (candidate - rival)[: self._ends[asked - 1]]
        return 0.0 if np.isnan(differences).all() else float(np.nanmean(differences))
