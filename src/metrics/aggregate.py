"""Aggregates scores overall, by document class and by (class, field), each with a confidence interval and counts.

quality/cer = 0.041   quality/cer/ci_low = 0.030   quality/cer/by/invoice/Дата = 0.012
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metrics import statistics
from metrics.api import Case, Measure, Metric, Score

if TYPE_CHECKING:
    from metrics.api import Array

# MLflow accepts letters of any script, digits, `_ - . /`, colon and space, 250 characters in all. Three of these are
# replaced: Windows refuses colons, a slash would start another level, and our names have `_` in place of spaces.
_REFUSED = re.compile(r"[^\w.\-]")
_SEGMENT_CHARACTERS = 80

Group = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The aggregate of one measure over one group of cases.

    `doc_class` is None for all cases, `field` is None for all fields of the class. `value` is None where no case was
    scored or the aggregate is undefined; `ci_low` and `ci_high` are also None with fewer than two scored documents.
    `n` cases on `n_documents` documents were scored, `n_unscored` cases were not. Units and range are those of the
    measure. `measure_group` is the first part of the tracked name.
    """

    measure: str
    doc_class: str | None
    field: str | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_unscored: int
    n_documents: int
    measure_group: str = "quality"


@dataclass(frozen=True, slots=True, eq=False)
class MeasureScores:
    """All scores of one measure, in the order of the cases: `stats` (cases, k), zero where `scored` is false."""

    measure: Measure
    metric: Metric
    stats: Array
    scored: NDArray[np.bool_]


def aggregate(
    cases: Sequence[Case],
    scores: Iterable[Score],
    metrics: Sequence[Metric],
    *,
    replicates: int = statistics.REPLICATES,
    confidence: float = statistics.CONFIDENCE,
    seed: int = 0,
) -> list[Aggregate]:
    """Aggregate the scores of some metrics: overall first, then by class and by (class, field) in alphabetical order.

    There must be exactly one score for each case and measure (unscored ones included). Scores of parts of structured
    answers are ignored here (metrics.splits.by_part aggregates them). The order of cases and of scores does not change
    the result. Confidence intervals treat documents as units (metrics.statistics.confidence_interval). Raises
    ValueError where the scores do not match the cases.
    """
    columns = _columns(cases, scores, metrics)
    _, documents = np.unique([case.document for case in cases], return_inverse=True)
    aggregates: list[Aggregate] = []
    for group, rows in _groups(cases).items():
        settings = (replicates, confidence, seed)
        aggregates += aggregate_group(group, rows, documents, columns, settings)
    return aggregates


def metric_values(aggregates: Sequence[Aggregate]) -> dict[str, float]:
    """Return aggregates by the names under which they are tracked. Aggregates without a value are absent.

    Names are `<group of the measure>/<measure>`, the same with `/ci_low` and `/ci_high`, and with `/by/<doc_class>` and
    `/by/<doc_class>/<field>`. Characters that MLflow refuses become `_`. If two groups would then share a name, a short
    digest of the original name is appended to each.
    """
    paths = _group_paths(dict.fromkeys((aggregated.doc_class, aggregated.field) for aggregated in aggregates))
    values: dict[str, float] = {}
    for aggregated in aggregates:
        path, stem = paths[aggregated.doc_class, aggregated.field], f"{aggregated.measure_group}/{aggregated.measure}"
        figures = {f"{stem}{path}": aggregated.value}
        if not path:
            figures |= {f"{stem}/ci_low": aggregated.ci_low, f"{stem}/ci_high": aggregated.ci_high}
        for name, value in figures.items():
            if name in values:
                raise ValueError(f"two figures are called {name!r}")
            if value is not None:
                values[name] = value
    return values


def _columns(cases: Sequence[Case], scores: Iterable[Score], metrics: Sequence[Metric]) -> list[MeasureScores]:
    """Align scores with their cases, one column per measure. Refuse missing, duplicate and unknown scores."""
    index = {(case.sample_id, case.repeat): row for row, case in enumerate(cases)}
    if len(index) < len(cases):
        raise ValueError(f"{len(cases) - len(index)} cases share sample_id and repeat with another")
    if nameless := [case.sample_id for case in cases if not case.document]:
        raise ValueError(f"{len(nameless)} cases name no document to cluster by, such as {nameless[0]!r}")
    owners = {measure.name: (measure, metric) for metric in metrics for measure in metric.measures}
    if len(owners) < sum(len(metric.measures) for metric in metrics):
        raise ValueError("two metrics yield a measure of the same name")
    gathered_by_measure = {name: _Gathered(name, len(cases)) for name in owners}
    for score in scores:
        if score.part:
            continue
        row = index.get((score.sample_id, score.repeat))
        if row is None or score.name not in gathered_by_measure:
            unknown = "case" if row is None else "measure"
            raise ValueError(f"{score.name} of {score.sample_id!r}, repeat {score.repeat}: no such {unknown}")
        gathered_by_measure[score.name].add(row, score)
    return [MeasureScores(*owners[name], *gathered.arrays(cases)) for name, gathered in gathered_by_measure.items()]


class _Gathered:
    """The scores of one measure as arrays of numbers. Score objects would take thirty times the memory."""

    def __init__(self, name: str, cases: int) -> None:
        self.name = name
        self._seen, self._rows, self._stats = bytearray(cases), array("q"), array("d")
        self._width = 0  # statistics of a score; 0 until one is scored

    def add(self, row: int, score: Score) -> None:
        """Add the score of a case."""
        if self._seen[row]:
            raise ValueError(f"{self.name} of {score.sample_id!r}, repeat {score.repeat}: scored twice")
        self._seen[row] = 1
        if score.value is None:
            return
        if self._width not in (0, len(score.stats)):
            raise ValueError(f"{self.name}: scores differ in how many statistics they carry")
        self._width = len(score.stats)
        self._rows.append(row)
        self._stats.extend(score.stats)

    def arrays(self, cases: Sequence[Case]) -> tuple[Array, NDArray[np.bool_]]:
        """Return statistics (cases, k), zero for unscored cases, and a mask (cases,) of the scored ones."""
        if missing := self._seen.count(0):
            example = cases[self._seen.index(0)].sample_id
            raise ValueError(f"{self.name}: {missing} cases have neither score nor reason, such as {example!r}")
        scored, stats = np.zeros(len(cases), dtype=bool), np.zeros((len(cases), self._width or 1))
        rows = np.frombuffer(self._rows, dtype=np.int64)
        scored[rows] = True
        stats[rows] = np.frombuffer(self._stats).reshape(len(rows), self._width or 1)
        if not np.isfinite(stats).all():
            raise ValueError(f"{self.name}: a score's statistics are not finite")
        return stats, scored


def _groups(cases: Sequence[Case]) -> dict[Group, NDArray[np.intp]]:
    """Return the row numbers of each group: all cases, each class, each (class, field)."""
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    classes: dict[str, list[int]] = defaultdict(list)
    for row, case in enumerate(cases):
        if case.doc_class:
            classes[case.doc_class].append(row)
        if case.field:
            rows[case.doc_class, case.field].append(row)
    groups: dict[Group, list[int]] = {(None, None): list(range(len(cases)))}
    groups |= {(name, None): classes[name] for name in sorted(classes)}
    groups |= {key: rows[key] for key in sorted(rows)}
    return {group: np.array(members, dtype=np.intp) for group, members in groups.items()}


def aggregate_group(
    group: Group,
    rows: NDArray[np.intp],
    documents: NDArray[np.intp],
    columns: Sequence[MeasureScores],
    settings: tuple[int, float, int],
) -> Iterator[Aggregate]:
    """Yield the aggregate of each measure for one group."""
    replicates, confidence, seed = settings
    for column in columns:
        members = rows[column.scored[rows]]
        names, cluster = np.unique(documents[members], return_inverse=True)
        sums = [np.bincount(cluster, weights=stat, minlength=len(names)) for stat in column.stats[members].T]
        totals = np.stack(sums, axis=1).astype(np.float64, copy=False)
        name, n = column.measure.name, len(members)
        combine = functools.partial(column.metric.combine, name)
        value = float(combine(totals.sum(axis=0))) if n else math.nan
        interval = statistics.confidence_interval(
            totals, combine, column.measure, confidence=confidence, replicates=replicates, seed=seed
        )
        yield Aggregate(
            measure=name,
            doc_class=group[0],
            field=group[1],
            value=value if math.isfinite(value) else None,
            ci_low=interval.low if interval else None,
            ci_high=interval.high if interval else None,
            n=n,
            n_unscored=len(rows) - n,
            n_documents=len(names),
            measure_group=column.measure.group,
        )


def _group_paths(groups: Iterable[Group]) -> dict[Group, str]:
    """Return the end of a metric's name for each group: empty for all cases, else `/by/<doc_class>[/<field>]`."""
    paths = {group: "".join(f"/{segment(name)}" for name in group if name is not None) for group in groups}
    taken: dict[str, list[Group]] = defaultdict(list)
    for group, path in paths.items():
        taken[path].append(group)
    for path, sharing in taken.items():
        if len(sharing) > 1:
            paths |= {group: f"{path}_{_digest(repr(group))}" for group in sharing}
    return {group: f"/by{path}" if path else "" for group, path in paths.items()}


def segment(name: str) -> str:
    """Return a name as one level of a tracked metric's name."""
    clean = _REFUSED.sub("_", unicodedata.normalize("NFC", name))
    if not clean.strip("."):
        clean = "_" * max(1, len(clean))  # nothing, `.` and `..` would change the path
    if len(clean) > _SEGMENT_CHARACTERS:
        clean = f"{clean[:_SEGMENT_CHARACTERS]}_{_digest(name)}"
    return clean


def _digest(text: str) -> str:
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
