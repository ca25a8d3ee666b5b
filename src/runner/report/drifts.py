"""Whether candidates that were measured in blocks over time (`repeats_over_time`) became slower or faster meanwhile.

Each candidate is tested, and all of them together, since a machine that becomes slower does so for all: the mean of
their batches, which are the same documents. Holm's correction is over all these tests, so the probability of one or
more false alarms is at most 5% whatever the number of candidates (docs/statistics.md says under which conditions).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics import drift
from metrics.significance import holm
from runner.jobs import blocks
from runner.report.model import Candidate, Comparison

ALPHA = 0.05
_TOGETHER = ""


@dataclass(frozen=True, slots=True)
class Tested:
    """What the blocks of one candidate, or of all together, show. `p` is corrected for the number of tests."""

    found: drift.Drift
    p: float

    @property
    def is_shown(self) -> bool:
        """Whether the blocks differ by more than chance explains."""
        return self.p < ALPHA

    def is_beyond(self, limit: float | None) -> bool:
        """Whether they do so by more than a limit that matters (`report.trust.drift`); None: none does."""
        return limit is not None and self.is_shown and self.found.spread > limit


@dataclass(frozen=True, slots=True)
class Drifts:
    """The candidates that were measured in blocks, with what their records keep, and the tests by candidate.

    `together` is None unless there are two candidates or more with the same blocks.
    """

    measured: Sequence[tuple[Candidate, Mapping[str, Any]]]
    tests: Mapping[Candidate, Tested]
    together: Tested | None


@functools.lru_cache(maxsize=4)
def look(compared: Comparison) -> Drifts | None:
    """Test the candidates of a comparison; None where none was measured in blocks."""
    measured = [
        (candidate, told)
        for candidate in compared.candidates
        if candidate.finished and (told := candidate.result.record.get("blocks"))
    ]
    if not measured:
        return None
    means = {one: known for one, told in measured if (known := blocks.means(told)) is not None}
    found = {one.name: drift.look(known) for one, known in means.items()}
    if len(means) > 1 and len({known.shape for known in means.values()}) == 1:
        found[_TOGETHER] = drift.look(np.mean(list(means.values()), axis=0))
    adjusted = holm({name: one.p for name, one in found.items()})
    tested = {name: Tested(one, adjusted[name]) for name, one in found.items()}
    return Drifts(measured, {one: tested[one.name] for one in means}, tested.get(_TOGETHER))


def told(compared: Comparison, tested: Tested, name: str) -> str:
    """Say by how much `name` became slower or faster, between which blocks, and what that means."""
    say, found = compared.texts, tested.found
    first, last = sorted((found.fastest, found.slowest))
    slower = found.slowest > found.fastest
    return say(
        "drift.slower" if slower else "drift.faster",
        name=name,
        share=say.number(found.spread if slower else 1 - 1 / (1 + found.spread), ".0%"),
        first=first + 1,
        last=last + 1,
        p=say.number(tested.p, ".2g"),
    )
