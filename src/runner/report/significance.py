"""Tests which candidates differ: a family of paired tests per measure, with Holm's correction."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence

from metrics.api import Measure
from metrics.paired import NothingToCompare, compare
from metrics.paired_verdict import PairedVerdict, against_the_best, verdicts
from runner.report.model import Candidate, Comparison


def against(compared: Comparison) -> tuple[dict[str, dict[str, PairedVerdict]], list[str]]:
    """Compare all candidates with the baseline by every measure. Return verdicts, and notes on omitted comparisons."""
    by_measure: dict[str, dict[str, PairedVerdict]] = {}
    notes: list[str] = []
    others = [candidate for candidate in compared.candidates if candidate is not compared.baseline]
    # Whom a race stopped, it stopped for the differences so far: a test that knows nothing of that looks too sure.
    if compared.baseline.stopped:
        notes.append(compared.texts("race.baseline", baseline=compared.baseline.label))
        others = []
    others = [candidate for candidate in others if not candidate.stopped]
    for measure in compared.measures:
        name = compared.metrics[measure.name][0]
        notes += [
            compared.texts("note.versions", candidate=candidate.label, baseline=compared.baseline.label, metric=name)
            for candidate in others
            if not same_version(compared.baseline, candidate, name)
        ]
        by_measure[measure.name] = family(compared, measure, compared.baseline, others)
    return by_measure, list(dict.fromkeys(notes))


def family(
    compared: Comparison,
    measure: Measure,
    baseline: Candidate,
    candidates: Sequence[Candidate],
    margin: float | None = None,
    *,
    best_of: int = 0,
) -> dict[str, PairedVerdict]:
    """Return the verdict on each candidate against the baseline, by the candidate's label.

    If the baseline was selected as the best of k candidates, `best_of` is k, and the confidence is corrected for the
    selection. A candidate has no verdict if it shares no scored sample with the baseline, or if another version of the
    metric scored it.
    """
    base = baseline.runs.get(measure.name)
    if base is None:
        return {}
    name, metric = compared.metrics[measure.name]
    confidence = compared.settings.confidence
    comparable = [candidate for candidate in candidates if same_version(baseline, candidate, name)]
    runs = [
        run
        for candidate in comparable
        if (run := candidate.runs.get(measure.name)) and set(run.stats) & set(base.stats)
    ]
    comparisons = []
    combine = functools.partial(metric.combine, measure.name)
    for run in runs:
        with contextlib.suppress(NothingToCompare):
            comparisons.append(compare(measure, combine, base, run, margin=margin, confidence=confidence))
    level = against_the_best(confidence, best_of) if best_of else confidence
    return {verdict.paired.candidate: verdict for verdict in verdicts(comparisons, confidence=level)}


def same_version(candidate: Candidate, other: Candidate, metric: str) -> bool:
    """Tell whether the same version of a metric scored both candidates. An unknown version counts as the same."""
    versions = {_version(candidate, metric), _version(other, metric)} - {None}
    return len(versions) < 2


def _version(candidate: Candidate, metric: str) -> str | None:
    version: str | None = candidate.result.environment.get("metric_versions", {}).get(metric)
    return version
