"""Paired tests of a measure on the samples that two jobs share, with documents as units."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from metrics.api import Measure, Metric
from metrics.paired import NothingToCompare, Paired, ScoredRun, compare
from metrics.paired_verdict import PairedVerdict, verdicts
from runner.studies.compare.jobs import CantCompare, Scored, chosen

if TYPE_CHECKING:
    from metrics.api import Array


def against_baseline(
    jobs: Sequence[Scored], baseline: str, measure: str, *, margin: float | None = None, confidence: float = 0.95
) -> list[PairedVerdict]:
    """Compare every other job with the baseline by one measure. All comparisons are one family of tests."""
    first = chosen(jobs, baseline)
    others = [(first, job) for job in jobs if job is not first]
    if not others:
        raise CantCompare("there is no other job to compare with the baseline")
    return of_pairs(others, measure, margin=margin, confidence=confidence)


def of_pairs(
    pairs: Sequence[tuple[Scored, Scored]], measure: str, *, margin: float | None = None, confidence: float = 0.95
) -> list[PairedVerdict]:
    """Compare the second job of each pair with the first by one measure. All pairs are one family of tests.

    Pairs whose second job has no score at all are left out. Raise CantCompare if no pair is left, if a job lacks the
    measure, or if the two jobs of a pair were scored by different versions of its metric.
    """
    comparisons: list[Paired] = []
    for first, second in pairs:
        _, metric, described = _measure(first, measure)
        if why := other_version(first, second, measure):
            raise CantCompare(why)
        base, run = first.run(measure), second.run(measure)
        if not base.stats:
            raise CantCompare(f"{first.name} has no score of {measure}")
        if run.stats:  # a job that failed altogether has none
            with contextlib.suppress(NothingToCompare):
                comparisons.append(_pair(described, metric, base, run, margin, confidence))
    if not comparisons:
        raise CantCompare(f"no other job has a score of {measure}")
    return verdicts(comparisons, confidence=confidence)


def other_version(first: Scored, second: Scored, measure: str) -> str:
    """Return why two jobs can't be compared by a measure that versions of its metric scored; empty if one did."""
    metric = _measure(first, measure)[0]
    if second.versions.get(metric, "") in ("", first.versions.get(metric)):
        return ""
    return (
        f"{second.name} was scored by another version of {metric} than {first.name}: {second.versions[metric]} and "
        f"{first.versions.get(metric)}; score both alike: python -m runner stage=score rescore=true answers=FOLDER"
    )


def lost_samples(first: Scored, second: Scored, measure: str) -> list[str]:
    """Return the samples that have a score in the first job and none in the second."""
    return sorted(set(first.run(measure).stats) - set(second.run(measure).stats))


def _pair(
    measure: Measure,
    metric: Metric,
    baseline: ScoredRun,
    candidate: ScoredRun,
    margin: float | None,
    confidence: float,
) -> Paired:
    combine: Callable[[Array], Array] = lambda totals: metric.combine(measure.name, totals)  # noqa: E731
    return compare(measure, combine, baseline, candidate, margin=margin, confidence=confidence)


def _measure(job: Scored, name: str) -> tuple[str, Metric, Measure]:
    """Return (name of the metric, metric, measure) for a measure's name."""
    if name not in job.measures:
        raise CantCompare(f"{job.name} has no measure {name!r}; it has: {', '.join(job.measures) or 'none'}")
    return job.measures[name]
