"""The scoring stage of a job: its answers in, scores.jsonl, tables and aggregates out."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from metrics import splits
from metrics.aggregate import Aggregate, aggregate, metric_values
from metrics.api import Case, Metric, MetricOfOthers, Score
from metrics.registry import measures_of_others
from metrics.repeats import consistency, intraclass_correlation, spread
from runner.base.progress import Progress
from runner.jobs.folder import JobFolder
from runner.jobs.rows import score_line
from runner.scoring import judge_verdicts, tables

NO_FIGURE = "no figure for "
# Measures that many samples have no value for although nothing is wrong with them.
OFTEN_WITHOUT = (
    "rouge2",
    "kie_nulls",
    "page_text_edit",
    "page_order_edit",
    "page_teds",
    "page_teds_structure",
    "page_formula_edit",
    "mws_page_ocr",
    "mws_parsing",
    "mws_grounding",
    "mws_kie",
    "mws_vqa",
    "mws_antifraud_reason",
)


def score(
    folder: JobFolder,
    answered: Sequence[Case],
    metrics: Mapping[str, Metric],
    *,
    timed: bool = True,
    keep: frozenset[str] | None = None,
) -> list[Aggregate]:
    """Score all answers with all metrics, write a row for each score, and sum up.

    Figures are given overall, by class, by field, by key of structured answers, and by answerability. `timed=False`
    leaves latencies out: the answers were measured under other conditions. With `keep`, what the folder holds
    already is added to: the metrics that it names take their scores from there, where those are complete, and scores of
    measures that none of the metrics yields stay.
    """
    cases = judge_verdicts.attached(answered, folder)
    if not timed:
        cases = [dataclasses.replace(case, facts={**case.facts, "latency_s": None}) for case in cases]
    older = _by_measure(folder.scores()) if keep is not None else {}
    made, columns, parts = list(metrics.values()), tables.Columns(cases), list[Score]()
    others = set(older) - {measure.name for metric in made for measure in metric.measures}
    fresh = folder.scores_path.with_suffix(".tmp")  # a full disk or a kill must not take the older scores along
    try:
        with fresh.open("w", encoding="utf-8") as file:
            scores = _written(_scored(metrics, cases, older, keep), file, columns, parts)
            aggregates = aggregate(cases, scores, made) if cases and made else []
            file.writelines(score_line(row) for name in sorted(others) for row in older[name])
        fresh.replace(folder.scores_path)
    finally:
        fresh.unlink(missing_ok=True)  # or half of a large file would keep a full disk full
    if not cases or not metrics:
        return []
    aggregates += splits.by_part(cases, parts, made)
    if splits.some_unanswerable(cases):
        asked = {measure.name for metric in made for measure in metric.measures}
        written = (row for row in folder.scores() if row.name in asked)
        aggregates += splits.by_answerability(cases, written, made)
    tables.write(folder.path, cases, columns, aggregates)
    return aggregates


def _scored(
    metrics: Mapping[str, Metric],
    cases: Sequence[Case],
    older: Mapping[str, Sequence[Score]],
    keep: frozenset[str] | None,
) -> Iterator[Score]:
    """Yield the scores of each metric in turn, the older ones where they are kept and complete."""
    last = {name: metric for name, metric in metrics.items() if isinstance(metric, MetricOfOthers)}
    handed: dict[str, list[Score]] = defaultdict(list)  # scores that metrics at the end take, by measure
    for of_others in last.values():
        handed |= {name: [] for name in of_others.needs(measures_of_others(of_others, metrics.values()))}
    with Progress("scoring", len(metrics), quiet=True) as progress:
        for name, metric in sorted(metrics.items(), key=lambda item: item[0] in last):
            progress.say(name)
            # Scores that were made of others are made anew with them.
            complete = _complete(metric, cases, older) if keep and name in keep and name not in last else None
            for row in _made(metric, cases, handed, metrics) if complete is None else complete:
                if row.name in handed:
                    handed[row.name].append(row)
                yield row
            progress.advance()


def _made(
    metric: Metric, cases: Sequence[Case], handed: Mapping[str, list[Score]], metrics: Mapping[str, Metric]
) -> Iterable[Score]:
    """Return the scores of a metric, from those of others where it takes them."""
    if not isinstance(metric, MetricOfOthers):
        return metric.score(cases)
    others = measures_of_others(metric, metrics.values())
    taken = (row for name in metric.needs(others) for row in handed[name])
    return metric.score_after(cases, taken, others)


def _written(scores: Iterable[Score], file: TextIO, columns: tables.Columns, parts: list[Score]) -> Iterator[Score]:
    """Write scores and yield them on, once: a large job has millions. Keep what the tables need, and those of parts."""
    for row in scores:
        file.write(score_line(row))
        columns.add(row)
        if row.part:
            parts.append(row)
        yield row


def kept(folder: JobFolder, cases: Sequence[Case], metrics: Mapping[str, Metric]) -> frozenset[str]:
    """Return which of these metrics have a score, or a reason, for every answer already."""
    if not folder.has_scores:
        return frozenset()
    older = _by_measure(folder.scores())
    return frozenset(name for name, metric in metrics.items() if _complete(metric, cases, older) is not None)


def values(aggregates: list[Aggregate]) -> dict[str, float]:
    """Return the aggregates under the names they are tracked by."""
    return metric_values(aggregates)


def repeats(folder: JobFolder, cases: Sequence[Case]) -> dict[str, float]:
    """Return how much the repeats of a job's questions agree, in their texts and in each score; nothing without them.

    `repeats/unique_answers`, `…/identical`, `…/similarity`; per measure `repeats/icc/<measure>`, `…/design_effect/…`
    (how little new a repeat tells: metrics.repeats) and `…/spread/…` (standard deviation, in units of the measure).
    """
    if not any(case.repeat for case in cases):
        return {}
    texts: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if case.prediction is not None:
            texts[case.sample_id].append(case.prediction)
    alike = consistency(list(texts.values()))
    if alike is None:
        return {}
    figures = {f"repeats/{name}": getattr(alike, name) for name in ("unique_answers", "identical", "similarity")}
    for measure, scores in _by_measure(folder.scores()).items():
        groups: dict[str, list[float]] = defaultdict(list)
        for row in scores:
            if row.value is not None and not row.part:
                groups[row.sample_id].append(row.value)
        agreement, within = intraclass_correlation(list(groups.values())), spread(list(groups.values()))
        if agreement is not None:
            figures[f"repeats/icc/{measure}"] = agreement.icc
            figures[f"repeats/design_effect/{measure}"] = agreement.design_effect
        if within is not None:
            figures[f"repeats/spread/{measure}"] = within
    return figures


def unscored(aggregates: list[Aggregate]) -> int:
    """Count the samples that some measure of quality could not score.

    Descriptions don't count: an answer of digits alone has no share of Latin letters, and nothing is wrong with it.
    Nor does rouge2: a reference of one word has no pairs of neighbours; nor what a page or a reference has none of,
    such as tables or nulls; nor the tasks of a benchmark, each of which scores its own questions: `mws_overall` counts.
    """
    overall = [figure for figure in aggregates if figure.doc_class is None and figure.measure_group == "quality"]
    overall = [figure for figure in overall if figure.measure not in OFTEN_WITHOUT]
    return max((figure.n_unscored for figure in overall), default=0)


def without_figure(aggregates: list[Aggregate], folder: JobFolder) -> list[str]:
    """Say which measures of quality have no figure, for no answer could be scored, and the most frequent reason."""
    empty = {
        figure.measure: figure.n_unscored
        for figure in aggregates
        if figure.doc_class is None and figure.measure_group == "quality" and not figure.n and figure.n_unscored
    }
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for figure in folder.scores(*empty) if empty else ():
        if figure.name in empty and figure.value is None:
            reasons[figure.name][figure.reason] += 1
    return [
        f"{NO_FIGURE}{name}: all {count} answers are unscored ({reasons[name].most_common(1)[0][0]})"
        for name, count in empty.items()
        if reasons[name]
    ]


def _by_measure(scores: Iterable[Score]) -> dict[str, list[Score]]:
    by_measure: dict[str, list[Score]] = defaultdict(list)
    for row in scores:
        by_measure[row.name].append(row)
    return by_measure


def _complete(metric: Metric, cases: Sequence[Case], older: Mapping[str, Sequence[Score]]) -> list[Score] | None:
    """Return a metric's older scores where there is exactly one for each case and measure, else None."""
    asked = {(case.sample_id, case.repeat) for case in cases}
    for measure in metric.measures:
        whole = [(row.sample_id, row.repeat) for row in older.get(measure.name, ()) if not row.part]
        if len(whole) != len(asked) or set(whole) != asked:
            return None
    return [row for measure in metric.measures for row in older[measure.name]]
