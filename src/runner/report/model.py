"""The report's data: a report has a comparison per dataset, a comparison has candidates and samples.

Sections and charts read nothing else. `runner.report.loading` builds it from job folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from metrics.api import Measure, Metric
from metrics.paired import ScoredRun
from metrics.paired_verdict import PairedVerdict
from runner.config.report_settings import ReportConfig
from runner.jobs.folder import JobFolder
from runner.report.texts import Texts

Key = tuple[str, int]  # sample id, repeat
# The figures of memory, the most exact first: what the job needs, what it held on the GPU, what its processes held.
MEMORY = ("memory/needed_gib", "memory/gpu_peak_gib", "memory/cpu_peak_gib")

# Whether an answer is JSON that can be used; the first of these that was measured is shown.
VALIDITY = ("kie_valid", "json_valid")


def tracked(measure: Measure) -> str:
    """Return the name under which a measure is tracked."""
    return f"{measure.group}/{measure.name}"


@dataclass(frozen=True, slots=True)
class ReportSample:
    """A question about a document, the same for all candidates. `images` are named as in answers.jsonl.

    `warp` says where places of the clean page are on the one that was shown, if that was made worse (dataset.degrade).
    """

    id: str
    document: str
    doc_class: str
    field: str
    question: str
    references: tuple[str, ...]
    images: tuple[str, ...]
    warp: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class CandidateAnswer:
    """A candidate's answer, or the error (`text` is None then). Times are in seconds; unknown values are None.

    `prompt` is the rendered text that was sent. It is empty if that equals the sample's question or is unknown.
    `seen` is the size (width, height) to which the engine resized the first picture.
    """

    text: str | None
    error: str
    truncated: bool
    latency_s: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    prompt: str = ""
    seen: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class JudgeRemark:
    """A judge's remark on an answer: the measure, its score, and the explanation."""

    measure: str
    value: float | None
    detail: str


@dataclass(eq=False)
class Candidate:
    """A job that is compared with others.

    `choice` are the settings that distinguish it from the others, `label` is the same as a line of text. `runs` holds
    the scores by measure for paired comparisons, `values` the score of each answer by the deciding measure.
    """

    result: JobFolder
    choice: Mapping[str, str]
    label: str
    answers: Mapping[Key, CandidateAnswer] = field(default_factory=dict)
    runs: Mapping[str, ScoredRun] = field(default_factory=dict)
    values: Mapping[Key, float] = field(default_factory=dict)
    remarks: Mapping[Key, Sequence[JudgeRemark]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of the job's folder, which is unique within its sweep."""
        return self.result.path.name

    @property
    def finished(self) -> bool:
        """Tell whether the job finished."""
        return self.result.status == "finished"

    @property
    def stopped(self) -> bool:
        """Tell whether a race stopped it as worse than another: then its figures are of fewer documents."""
        race = self.result.race
        return race is not None and bool(race["stopped"])

    @property
    def ranked(self) -> bool:
        """Tell whether its figures are held against those of others: it finished, and no race stopped it."""
        return self.finished and not self.stopped

    def metric(self, name: str) -> float | None:
        """Return a tracked metric, or None if it was not measured."""
        return self.result.metrics.get(name)

    def interval(self, measure: str) -> tuple[float, float] | None:
        """Return the confidence interval of a measure by its tracked name; None if there is none."""
        low, high = (self.metric(f"{measure}/{end}") for end in ("ci_low", "ci_high"))
        return None if low is None or high is None else (low, high)


@dataclass(eq=False)
class Comparison:
    """Candidates that answered the same questions.

    `measures` are the quality measures that at least one candidate has; the first is the deciding measure. `metrics`
    maps each measure to the name of its metric and the metric. `verdicts` maps each measure to the verdicts on the
    candidates (by label) against `baseline`.
    """

    dataset: str
    candidates: Sequence[Candidate]
    samples: Mapping[str, ReportSample]
    measures: Sequence[Measure]
    settings: ReportConfig
    texts: Texts
    baseline: Candidate
    metrics: Mapping[str, tuple[str, Metric]] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, PairedVerdict]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    others: Sequence[Comparison] = ()  # the report's comparisons, this one included

    @property
    def measure(self) -> Measure | None:
        """Return the deciding measure; None if nothing was scored."""
        return self.measures[0] if self.measures else None

    def quality(self, candidate: Candidate) -> float | None:
        """Return a candidate's figure by the deciding measure."""
        return candidate.metric(tracked(self.measure)) if self.measure else None

    @cached_property
    def memory(self) -> str | None:
        """Return the most exact figure of memory that all finished candidates have; None if there is none."""
        finished = [candidate for candidate in self.candidates if candidate.finished]
        shared = (
            name for name in MEMORY if finished and all(candidate.metric(name) is not None for candidate in finished)
        )
        return next(shared, None)

    @cached_property
    def documents(self) -> int:
        """Count the documents."""
        return len({sample.document for sample in self.samples.values()})

    def color(self, candidate: Candidate) -> int:
        """Return the number of a candidate's colour, which is the same in the whole page."""
        return self.candidates.index(candidate)


@dataclass(eq=False)
class Report:
    """Everything that a page shows."""

    title: str
    comparisons: Sequence[Comparison]
    settings: ReportConfig
    texts: Texts
    folder: Path

    @property
    def results(self) -> list[JobFolder]:
        """Return all jobs."""
        return [candidate.result for comparison in self.comparisons for candidate in comparison.candidates]
