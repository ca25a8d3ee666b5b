"""Aggregates the same scores in other groups: by the keys of structured answers, and by answerability.

quality/json_match/by/invoice/Итог = 0.91      quality/cer/by/answerable_true = 0.04
"""

from __future__ import annotations

import dataclasses
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics import statistics
from metrics.aggregate import Aggregate, MeasureScores, aggregate, aggregate_group
from metrics.api import Case, Metric, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metrics.api import Array


def by_part(
    cases: Sequence[Case],
    scores: Iterable[Score],
    metrics: Sequence[Metric],
    *,
    replicates: int = statistics.REPLICATES,
    confidence: float = statistics.CONFIDENCE,
    seed: int = 0,
) -> list[Aggregate]:
    """Return the aggregates of each part (key) of structured answers by (class, part). `field` holds the part.

    Cases whose reference lacks a key have no score for it and do not count. If a case has a field, `field` becomes
    `<field>.<part>`. Raise ValueError where a part of a case is scored twice.
    """
    owners = {measure.name: (measure, metric) for metric in metrics for measure in metric.measures}
    rows = {(case.sample_id, case.repeat): row for row, case in enumerate(cases)}
    parts: dict[tuple[str, str], _Part] = defaultdict(_Part)
    for score in scores:
        if score.part:
            parts[score.part, score.name].add(rows[score.sample_id, score.repeat], score)
    _, documents = np.unique([case.document for case in cases], return_inverse=True)
    aggregates: list[Aggregate] = []
    for (part, name), found in sorted(parts.items()):
        column = MeasureScores(*owners[name], *found.arrays())
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, row in enumerate(found.rows):
            field = cases[row].field
            groups[cases[row].doc_class, f"{field}.{part}" if field else part].append(place)
        theirs = documents[np.frombuffer(found.rows, dtype=np.int64)]
        for group, members in sorted(groups.items()):
            places = np.array(members, dtype=np.intp)
            aggregates += aggregate_group(group, places, theirs, [column], (replicates, confidence, seed))
    return aggregates


class _Part:
    """The scores of one measure and part: for each the row of its case, and its statistics; none where unscored."""

    def __init__(self) -> None:
        self.rows = array("q")
        self._scored = bytearray()
        self._stats: list[tuple[float, ...]] = []
        self._seen: set[int] = set()

    def add(self, row: int, score: Score) -> None:
        """Add the score of a case."""
        if row in self._seen:
            what = f"{score.name} of {score.sample_id!r}, repeat {score.repeat}"
            raise ValueError(f"{what}, part {score.part!r}: scored twice")
        self._seen.add(row)
        self.rows.append(row)
        self._scored.append(score.value is not None)
        if score.value is not None:
            self._stats.append(score.stats)

    def arrays(self) -> tuple[Array, NDArray[np.bool_]]:
        """Return statistics (scores, k), zero for unscored ones, and a mask (scores,) of the scored ones."""
        scored = np.frombuffer(self._scored, dtype=np.bool_)
        stats = np.zeros((len(scored), len(self._stats[0]) if self._stats else 1))
        if self._stats:
            stats[scored] = self._stats
        return stats, scored


def some_unanswerable(cases: Iterable[Case]) -> bool:
    """Tell whether any question is marked as unanswerable."""
    return any(case.facts.get("answerable") is False for case in cases)


def by_answerability(
    cases: Sequence[Case], scores: Iterable[Score], metrics: Sequence[Metric], **settings: Any
) -> list[Aggregate]:
    """Return all aggregates for answerable and for unanswerable questions; an empty list if none is unanswerable.

    Their `doc_class` is `answerable=true` or `answerable=false`, which can't collide with a real class.
    """
    if not some_unanswerable(cases):
        return []
    marked = [case for case in cases if isinstance(case.facts.get("answerable"), bool)]
    renamed = [
        dataclasses.replace(case, doc_class=f"answerable={str(case.facts['answerable']).lower()}", field="")
        for case in marked
    ]
    keys = {(case.sample_id, case.repeat) for case in marked}
    theirs = [score for score in scores if (score.sample_id, score.repeat) in keys]
    return [figure for figure in aggregate(renamed, theirs, metrics, **settings) if figure.doc_class is not None]
