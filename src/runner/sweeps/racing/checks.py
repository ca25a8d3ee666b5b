"""What can race, and by which measure. What can't is refused before anything is started."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from metrics.api import Measure, Metric
from runner.base.errors import Problem, Refused
from runner.config.report_settings import ReportConfig
from runner.planning.job import Job
from runner.report.loading import PREFERRED

ALONE = Problem("one candidate has no rival", "race", "-m with several candidates, or race=false")


def refuse(jobs: Sequence[Job]) -> None:
    """Refuse candidates that can't race against each other. Raise Refused with all reasons."""
    if problems := list(dict.fromkeys(_problems(jobs))):
        raise Refused(problems)


def deciding(metrics: Mapping[str, Metric], settings: ReportConfig) -> tuple[Metric, Measure] | None:
    """Return the measure by which the report will decide, and its metric; None if no metric has one that can."""
    known = {
        measure.name: (metric, measure)
        for metric in metrics.values()
        for measure in metric.measures
        if measure.better != "neither" and measure.group == "quality"
    }
    names = [settings.measure] if settings.measure is not None else [*PREFERRED, *known]
    return next((known[name] for name in names if name in known), None)


def decided(job: Job) -> tuple[Metric, Measure]:
    """Return the metric and the measure by which a job races that was not refused."""
    found = deciding(job.metrics, job.config.report)
    assert found is not None
    return found


def _problems(jobs: Sequence[Job]) -> Iterator[Problem]:
    first = jobs[0]
    if len(jobs) < 2:
        yield ALONE
    if any(job.config.race != first.config.race for job in jobs):
        yield Problem("the jobs of a sweep race all together, or none does", "race", "one value of each race.… key")
    if len({job.dataset.digest() for job in jobs}) > 1:
        what = "candidates that race are asked the same questions, and these have several datasets"
        yield Problem(what, "dataset", "a sweep for each dataset, or race=false")
    if any(job.dataset.probes or job.dataset.is_search for job in jobs):
        yield Problem("this dataset looks for a limit, by which nobody is better", "race", "race=false")
    decided = [deciding(job.metrics, job.config.report) for job in jobs]
    if None in decided:
        wanted = first.config.report.measure
        what = f"report.measure={wanted} is" if wanted else "there is"
        what += (
            f" no measure that metrics=[{','.join(first.metrics)}] yield while answers come (a judge is asked later)"
        )
        yield Problem(what, "race", "metrics=[exact_match], or race=false")
        return
    if len({(metric.version, measure.name) for metric, measure in filter(None, decided)}) > 1:
        yield Problem("the candidates are measured by different measures", "metrics", "the same metrics for all")
    assert decided[0] is not None
    yield from _not_raced(decided[0][1])


def _not_raced(measure: Measure) -> Iterator[Problem]:
    """Yield why no test of this kind is valid for a measure, and which measures have one."""
    remedy = (
        "report.measure=exact_match, anls, found, kie_strict or rougeL (and metrics=[…] that has it), or race=false"
    )
    if measure.aggregate != "mean":
        what = f"{measure.name} is a ratio of sums over all documents, and a race needs a mean over answers"
        yield Problem(what, "race", remedy)
    elif measure.high is None or not math.isfinite(measure.low):
        what = f"a value of {measure.name} can be any number, and a race needs a range from which it can't stray"
        yield Problem(what, "race", remedy)
