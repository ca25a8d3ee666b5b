"""Aggregates the same scores in other groups: by the keys of structured answers, and by answerability.

quality/json_match/by/invoice/Итог = 0.91      quality/cer/by/answerable_true = 0.04
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from metrics.aggregate import Aggregate, aggregate
from metrics.api import Case, Metric, Score


def by_part(
    cases: Sequence[Case], scores: Sequence[Score], metrics: Sequence[Metric], **settings: Any
) -> list[Aggregate]:
    """Return the aggregates of each part (key) of structured answers by (class, part). `field` holds the part.

    Cases whose reference lacks a key have no score for it and do not count. If a case has a field, `field` becomes
    `<field>.<part>`. `settings` are passed to `aggregate`.
    """
    owners = {measure.name: metric for metric in metrics for measure in metric.measures}
    known = {(case.sample_id, case.repeat): case for case in cases}
    parts: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        if score.part:
            parts.setdefault((score.part, score.name), []).append(score)
    aggregates: list[Aggregate] = []
    for (part, name), members in sorted(parts.items()):
        chosen = []
        for score in members:
            case = known[score.sample_id, score.repeat]
            chosen.append(dataclasses.replace(case, field=f"{case.field}.{part}" if case.field else part))
        whole = [dataclasses.replace(score, part="") for score in members]
        figures = aggregate(chosen, whole, [_Only(owners[name], name)], **settings)
        aggregates += [figure for figure in figures if figure.field is not None]
    return aggregates


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


class _Only:
    """A metric restricted to one of its measures, since parts may lack scores of the others."""

    def __init__(self, metric: Metric, name: str) -> None:
        self.measures = tuple(measure for measure in metric.measures if measure.name == name)
        self.env, self.version = metric.env, metric.version
        self.score, self.combine = metric.score, metric.combine
