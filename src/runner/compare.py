"""`python -m runner.compare FOLDER...`: which jobs are better or worse than a baseline, or not distinguishable from it.

Jobs are paired on the samples that they share, whatever their order; questions on one document count as one.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from metrics.api import Measure, Metric
from metrics.paired import Paired, ScoredRun, compare
from metrics.registry import create
from metrics.verdict import Verdict, verdicts
from runner import answers, score

if TYPE_CHECKING:
    from metrics.api import Array


class CantCompare(ValueError):
    """The jobs can't be compared as asked; the message says what would be valid."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A job's folder with scores: its name, and the options and version of each metric."""

    folder: Path
    name: str
    metrics: Mapping[str, Any]
    versions: Mapping[str, str]

    def run(self, measure: str) -> ScoredRun:
        """Gather the scores of one measure."""
        cases = [answers.case(row) for row in answers.read(self.folder / "answers.jsonl")]
        return ScoredRun.of(self.name, measure, cases, score.read(self.folder / "scores.jsonl"))


def find_jobs(folders: Sequence[Path]) -> list[Scored]:
    """Return the scored jobs at or below the folders, in this order; equal names are told apart by their folder."""
    files = [file for folder in folders for file in sorted(folder.rglob("scores.jsonl"))]
    found = [_read(file.parent) for file in dict.fromkeys(files) if file.parent.name != "artifacts"]
    names = [one.name for one in found]
    return [
        one if names.count(one.name) == 1 else Scored(one.folder, f"{one.name} ({one.folder.name})", *_rest(one))
        for one in found
    ]


def against_baseline(
    jobs: Sequence[Scored], baseline: str, measure: str, *, margin: float | None = None, confidence: float = 0.95
) -> list[Verdict]:
    """Compare every other job with the baseline by one measure; together they are one family."""
    first = _chosen(jobs, baseline)
    metric_name, metric, described = _measure(first, measure)
    others = [job for job in jobs if job is not first]
    if not others:
        raise CantCompare("there is no other job to compare with the baseline")
    for job in others:
        if metric_name in job.versions and job.versions.get(metric_name) != first.versions.get(metric_name):
            raise CantCompare(
                f"{job.name} was scored by another version of {metric_name} than {first.name}: "
                f"{job.versions.get(metric_name)} and {first.versions.get(metric_name)}; score both with rescore=true"
            )
    base = first.run(measure)
    runs = [run for job in others if (run := job.run(measure)).stats]  # a job that failed altogether has none
    if not base.stats or not runs:
        raise CantCompare(f"{first.name if not base.stats else 'no other job'} has no score of {measure}")
    made = [_pair(described, metric, base, run, margin, confidence) for run in runs]
    return verdicts(made, confidence=confidence)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a verdict per candidate. Return 0, or 2 where nothing can be compared."""
    parser = argparse.ArgumentParser(prog="python -m runner.compare", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="job folders, the baseline first, or a sweep's folder")
    parser.add_argument("--baseline", help="name of the baseline's job; default: the first job")
    parser.add_argument("--measure", action="append", help="such as cer; may be repeated, each is a family of its own")
    parser.add_argument("--margin", type=float, help="also test that candidates are not worse by more than this")
    parser.add_argument("--confidence", type=float, default=0.95)
    given = parser.parse_args(arguments)
    try:
        jobs = find_jobs(given.folders)
        if not jobs:
            raise CantCompare("no job with scores.jsonl is in or below the folders")
        for measure in given.measure or ["exact_match", "cer"]:
            for one in against_baseline(
                jobs, given.baseline or jobs[0].name, measure, margin=given.margin, confidence=given.confidence
            ):
                print(one)  # noqa: T201
    except (ValueError, OSError) as error:
        print(f"can't compare: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


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


def _read(folder: Path) -> Scored:
    config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"), resolve=False)
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    return Scored(folder, record["name"], config["metrics"], environment["metric_versions"])


def _rest(one: Scored) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    return one.metrics, one.versions


def _chosen(jobs: Sequence[Scored], name: str) -> Scored:
    for job in jobs:
        if name in (job.name, str(job.folder), job.folder.name):
            return job
    raise CantCompare(f"no job is called {name!r}; jobs: {', '.join(job.name for job in jobs)}")


def _measure(job: Scored, name: str) -> tuple[str, Metric, Measure]:
    """Return the metric that yields a measure, as the job's config made it."""
    known = []
    for metric_name, options in job.metrics.items():
        metric = create(metric_name, options)
        for measure in metric.measures:
            if measure.name == name:
                return metric_name, metric, measure
            known.append(measure.name)
    raise CantCompare(f"{job.name} has no measure {name!r}; it has: {', '.join(known) or 'none'}")


if __name__ == "__main__":
    sys.exit(main())
