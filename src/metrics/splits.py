"""Further ways to group the same scores: by the keys of structured answers, and by answerability.

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
    """Return the figures of each part (key) of structured answers by (class, part), the part in place of the field.

    Cases whose reference lacks a key have no score for it and don't count there. Where cases have a field of their own
    the part is `<field>.<part>`. `settings` are those of `aggregate`.
    """
    owners = {measure.name: metric for metric in metrics for measure in metric.measures}
    known = {(case.sample_id, case.repeat): case for case in cases}
    parts: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        if score.part:
            parts.setdefault((score.part, score.name), []).append(score)
    found: list[Aggregate] = []
    for (part, name), members in sorted(parts.items()):
        chosen = []
        for score in members:
            case = known[score.sample_id, score.repeat]
            chosen.append(dataclasses.replace(case, field=f"{case.field}.{part}" if case.field else part))
        whole = [dataclasses.replace(score, part="") for score in members]
        figures = aggregate(chosen, whole, [_Only(owners[name], name)], **settings)
        found += [figure for figure in figures if figure.field is not None]
    return found


def some_unanswerable(cases: Iterable[Case]) -> bool:
    """Tell whether some question is marked as one that its document does not answer."""
    return any(case.facts.get("answerable") is False for case in cases)


def by_answerability(
    cases: Sequence[Case], scores: Iterable[Score], metrics: Sequence[Metric], **settings: Any
) -> list[Aggregate]:
    """Return all figures for answerable and for unanswerable questions; nothing where none is marked unanswerable.

    Their classes are `answerable=true` and `answerable=false`, which no real class is called.
    """
    if not some_unanswerable(cases):
        return []
    marked = [case for case in cases if isinstance(case.facts.get("answerable"), bool)]
    renamed = [
        dataclasses.replace(case, doc_class=f"answerable={str(case.facts['answerable']).lower()}", field="")
        for case in marked
    ]
    kept = {(case.sample_id, case.repeat) for case in marked}
    theirs = [score for score in scores if (score.sample_id, score.repeat) in kept]
    return [figure for figure in aggregate(renamed, theirs, metrics, **settings) if figure.doc_class is not None]


class _Only:
    """A metric narrowed to one of its measures, for parts that have no other."""

    def __init__(self, metric: Metric, name: str) -> None:
        self.measures = tuple(measure for measure in metric.measures if measure.name == name)
        self.env, self.version = metric.env, metric.version
        self.score, self.combine = metric.score, metric.combine
