"""Whether candidates that were measured in blocks over time (`repeats_over_time`) became slower, and keep their order.

Each candidate is looked at, and all of them together, since a machine that becomes slower does so for all. Intervals
are corrected for the number of looks, so all hold at once with 95% probability (docs/statistics.md says of what). Only
candidates that took turns are looked at together and held against each other: where one was measured at another time,
as one that was added to a stored sweep, the machine may have been another.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from metrics import drift
from metrics.drift import Drift, Level, Ratio
from runner.jobs import blocks
from runner.report.model import Candidate, Comparison


@dataclass(frozen=True, slots=True)
class Drifts:
    """The candidates that were measured in blocks, with what their records keep, and how far their blocks are apart.

    `alone` has those whose blocks can be compared. `took_turns` is false where two or more of them were measured at
    different times: then there is no `together`, and `ratios` are empty. These are how much longer each other candidate
    took than the `fastest` one, on the same documents.
    """

    measured: Sequence[tuple[Candidate, Mapping[str, Any]]]
    alone: Mapping[Candidate, Drift]
    took_turns: bool
    together: Drift | None = None
    fastest: Candidate | None = None
    ratios: Mapping[Candidate, Ratio] | None = None


@functools.lru_cache(maxsize=4)
def look(compared: Comparison) -> Drifts | None:
    """Look at the candidates of a comparison; None where none was measured in blocks."""
    measured = [
        (candidate, told)
        for candidate in compared.candidates
        if candidate.finished and (told := candidate.result.record.get("blocks"))
    ]
    if not measured:
        return None
    levels = {one: known for one, told in measured if (known := blocks.levels(told)) is not None}
    took_turns = len(levels) < 2 or _took_turns([told for one, told in measured if one in levels])
    both = len(levels) > 1 and took_turns
    tests = len(levels) + both
    alone = {one: drift.look(known, tests) for one, known in levels.items()}
    if not both:
        return Drifts(measured, alone, took_turns)
    together = drift.together(list(levels.values()))
    fastest, ratios = _beside(levels)
    return Drifts(measured, alone, took_turns, drift.look(together, tests), fastest, ratios)


def _took_turns(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each block of all candidates was asked before the next one of any, about the same documents."""
    if len({tuple(block["documents"] for block in record["blocks"]) for record in records}) > 1:
        return False
    middles = zip(*([block["middle_at"] for block in record["blocks"]] for record in records), strict=True)
    return all(max(earlier) < min(later) for earlier, later in pairwise(middles))


def _beside(levels: Mapping[Candidate, Sequence[Level]]) -> tuple[Candidate, dict[Candidate, Ratio]]:
    """Return the fastest candidate, and how much longer each other one took.

    Which one is the fastest is seen from the same answers, so intervals are corrected for all pairs.
    """
    fastest = min(levels, key=lambda one: sum(block.value for block in levels[one]))
    pairs = len(levels) * (len(levels) - 1) // 2
    return fastest, {
        one: drift.ratio(known, levels[fastest], pairs) for one, known in levels.items() if one is not fastest
    }


def matters(compared: Comparison, found: Drift) -> bool:
    """Whether blocks are shown to differ, and by more than `report.trust.drift`; None there: no difference matters."""
    limit = compared.settings.trust.drift
    return limit is not None and found.at_least > 0 and found.spread > limit


def told(compared: Comparison, found: Drift, name: str) -> str:
    """Say between which blocks `name` became slower or faster, and by how much."""
    say = compared.texts
    return say(
        "drift.changed",
        name=name,
        slowest=found.slowest + 1,
        fastest=found.fastest + 1,
        share=say.number(found.spread, ".1%"),
        low=say.number(found.at_least, ".1%"),
        high=say.number(found.at_most, ".1%"),
    )
