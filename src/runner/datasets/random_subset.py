"""`dataset.limit_seed`: draws the samples of `dataset.limit` at random, in place of the first ones.

A row is drawn if the hash of seed and id is among the smallest. So the draw does not depend on the order of the file, a
larger limit with the same seed adds samples and drops none, and only rows that may be drawn are held in memory.
"""

from __future__ import annotations

import hashlib
import heapq

from runner.config.dataset import DatasetConfig
from runner.datasets.reader import Row


class Draw:
    """Keeps the rows that are drawn so far."""

    def __init__(self, limit: int, seed: int) -> None:
        self._limit, self._seed = limit, seed
        self._seen = 0
        self._kept: list[tuple[int, int, Row]] = []  # a heap: the largest hash first, negated; then the place

    @classmethod
    def of(cls, config: DatasetConfig) -> Draw | None:
        """Return the draw that a config asks for; None where the first rows are taken."""
        return None if config.limit_seed is None or config.limit is None else cls(config.limit, config.limit_seed)

    def add(self, row: Row) -> None:
        """Take a row that passed the filters."""
        digest = hashlib.sha256(f"{self._seed} {row.id}".encode("utf-8", "surrogatepass")).digest()
        entry = (-int.from_bytes(digest[:8]), -self._seen, row)
        self._seen += 1
        if len(self._kept) < self._limit:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)

    def rows(self) -> list[Row]:
        """Return the rows that were drawn, in the order of the file."""
        return [row for _, _, row in sorted(self._kept, key=lambda entry: -entry[1])]

    @property
    def note(self) -> str:
        """What a reader must know of the draw."""
        return f"{len(self._kept)} of {self._seen} samples were drawn at random, with dataset.limit_seed={self._seed}"
