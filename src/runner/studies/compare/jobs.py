"""Jobs as a comparison needs them, and which of them is held against which."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics.api import Case, Measure, Metric, Score
from metrics.paired import ScoredRun
from metrics.registry import create
from runner.jobs.folder import JobFolder
from runner.jobs.results import choices, names
from runner.jobs.rows import AnswerRow, case


class CantCompare(ValueError):
    """The jobs can't be compared as asked; the message says what would be valid."""


@dataclass(frozen=True)
class Scored:
    """A job under a name that no other one has; answers and scores are read when they are asked for."""

    name: str
    result: JobFolder

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.result.path

    @property
    def versions(self) -> Mapping[str, str]:
        """Return the version of each metric that scored it."""
        version_of: Mapping[str, str] = self.result.environment["metric_versions"]
        return version_of

    @functools.cached_property
    def rows(self) -> list[AnswerRow]:
        """The rows of its answers.jsonl."""
        return list(self.result.rows())

    @functools.cached_property
    def cases(self) -> list[Case]:
        """Its answers as they were scored."""
        return [case(row) for row in self.rows]

    @functools.cached_property
    def scores(self) -> list[Score]:
        """All its scores; none where it was not scored."""
        return list(self.result.scores())

    @functools.cached_property
    def measures(self) -> dict[str, tuple[str, Metric, Measure]]:
        """Each of its measures, with the metric that yields it as the job's config made it, and that one's name."""
        measure_of: dict[str, tuple[str, Metric, Measure]] = {}
        for name, options in (self.result.config.get("metrics") or {}).items():
            try:
                metric = create(name, options)
            except ValueError:
                continue  # a metric of a package that is not installed here: its figures can still be read
            measure_of |= {measure.name: (name, metric, measure) for measure in metric.measures}
        return measure_of

    def run(self, measure: str) -> ScoredRun:
        """Gather the scores of one measure."""
        return ScoredRun.of(self.name, measure, self.cases, self.scores)


def read_jobs(groups: Sequence[Sequence[JobFolder]]) -> list[list[Scored]]:
    """Return the jobs of groups, each under a name of its own."""
    name_of = names([result for group in groups for result in group])
    return [[Scored(name_of[result.path], result) for result in group] for group in groups]


def find_jobs(folders: Sequence[Path]) -> list[Scored]:
    """Return the scored jobs at or below the folders, each once."""
    jobs = dict.fromkeys(job for folder in folders for job in JobFolder.below(folder))
    return read_jobs([[job for job in jobs if job.has_scores]])[0]


def chosen(jobs: Sequence[Scored], name: str) -> Scored:
    """Return the job that a user calls by its name, folder or run. Raise CantCompare where there is none."""
    for job in jobs:
        if name in (job.name, str(job.folder), job.folder.name, job.result.run_id):
            return job
    for job in jobs:  # what a race did to it needn't be said
        if job.result.cut_short and job.name == f"{name} [{job.result.cut_short}]":
            return job
    raise CantCompare(f"no job is called {name!r}; jobs: {', '.join(job.name for job in jobs)}")


def pairs(groups: Sequence[Sequence[Scored]], baseline: str | None) -> tuple[list[tuple[Scored, Scored]], list[str]]:
    """Return (baseline, candidate) pairs, and notes on jobs that have no counterpart.

    Two sweeps: each job of the second against the job of the first that was chosen alike (model, quant, and what else
    the sweep varied). Otherwise all against `baseline`, which is the first job unless it is named.
    """
    jobs = [job for group in groups for job in group]
    if baseline is None and len(groups) == 2 and all(len(group) > 1 for group in groups):
        return _alike(*groups)
    first = chosen(jobs, baseline) if baseline else jobs[0]
    others = [job for job in jobs if job is not first]
    if not others:
        raise CantCompare("there is no other job to compare with the baseline")
    return [(first, job) for job in others], []


def _alike(before: Sequence[Scored], after: Sequence[Scored]) -> tuple[list[tuple[Scored, Scored]], list[str]]:
    sides = [
        dict(zip(map(_words, choices([job.result for job in side])), side, strict=True)) for side in (before, after)
    ]
    made = [(sides[0][words], job) for words, job in sides[1].items() if words in sides[0]]
    if not made:
        labels = [", ".join(f"({words})" for words in side) for side in sides]
        raise CantCompare(f"no job of one sweep was chosen like one of the other: {labels[0]} against {labels[1]}")
    notes = [f"only in the first: {words}" for words in sides[0] if words not in sides[1]]
    notes += [f"only in the second: {words}" for words in sides[1] if words not in sides[0]]
    return made, notes


def _words(choice: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in choice.items())
