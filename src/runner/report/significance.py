"""Which candidates are better or worse than another: a family of paired tests per measure, corrected by Holm."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.api import Measure
from metrics.paired import compare
from metrics.paired_verdict import PairedVerdict, against_the_best, verdicts
from runner.report.model import Candidate, Comparison


def against(compared: Comparison) -> tuple[dict[str, dict[str, PairedVerdict]], list[str]]:
    """Compare all candidates with the baseline by every measure; also return what can't be compared, and why."""
    found: dict[str, dict[str, PairedVerdict]] = {}
    notes: list[str] = []
    others = [one for one in compared.candidates if one is not compared.baseline]
    for measure in compared.measures:
        name = compared.metrics[measure.name][0]
        notes += [
            compared.texts("note.versions", candidate=one.label, baseline=compared.baseline.label, metric=name)
            for one in others
            if not _one_version(compared.baseline, one, name)
        ]
        found[measure.name] = family(compared, measure, compared.baseline, others)
    return found, list(dict.fromkeys(notes))


def family(
    compared: Comparison,
    measure: Measure,
    baseline: Candidate,
    candidates: Sequence[Candidate],
    margin: float | None = None,
    *,
    best_of: int = 0,
) -> dict[str, PairedVerdict]:
    """Return the verdict on each candidate by its label; `best_of`: the baseline is the best of so many.

    There is none without a sample that both have scored, and none where they were scored by unequal versions.
    """
    base = baseline.runs.get(measure.name)
    if base is None:
        return {}
    name, metric = compared.metrics[measure.name]
    confidence = compared.settings.confidence
    comparable = [one for one in candidates if _one_version(baseline, one, name)]
    runs = [run for one in comparable if (run := one.runs.get(measure.name)) and set(run.stats) & set(base.stats)]
    made = [
        compare(
            measure,
            lambda totals: metric.combine(measure.name, totals),
            base,
            run,
            margin=margin,
            confidence=confidence,
        )
        for run in runs
    ]
    level = against_the_best(confidence, best_of) if best_of else confidence
    return {one.paired.candidate: one for one in verdicts(made, confidence=level)}


def _one_version(one: Candidate, other: Candidate, metric: str) -> bool:
    """Tell whether the same version of a metric scored both, as far as it is known."""
    versions = {_version(one, metric), _version(other, metric)} - {None}
    return len(versions) < 2


def _version(candidate: Candidate, metric: str) -> str | None:
    version: str | None = candidate.result.environment.get("metric_versions", {}).get(metric)
    return version
