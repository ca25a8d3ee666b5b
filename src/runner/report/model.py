"""What the report shows, as data: a report holds a comparison per dataset, a comparison its candidates and samples.

Sections and charts read this and nothing else; `runner.report.loading` makes it from job folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from metrics.api import Measure, Metric
from metrics.paired import ScoredRun
from metrics.verdict import Verdict
from runner.config.report_settings import ReportConfig
from runner.jobs.folder import JobFolder
from runner.report.texts import Texts

Key = tuple[str, int]  # sample id, repeat
# The most exact account of memory first: what is needed, what was held on the GPU, what the processes held.
MEMORY = ("memory/needed_gib", "memory/gpu_peak_gib", "memory/cpu_peak_gib")


def tracked(measure: Measure) -> str:
    """Return the name that a measure's figure is tracked by."""
    return f"{measure.group}/{measure.name}"


@dataclass(frozen=True, slots=True)
class Sample:
    """A question about a document; the same for all candidates. `images` are as answers.jsonl names them."""

    id: str
    document: str
    doc_class: str
    field: str
    question: str
    references: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or why there is none (`text` is None then). Times are in seconds; unknown is None.

    `prompt` is the rendered text that was sent; "" where it is the sample's question as it stands, or isn't known.
    """

    text: str | None
    error: str
    truncated: bool
    latency_s: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a judge said of one answer: the measure, its score, and the explanation."""

    measure: str
    value: float | None
    detail: str


@dataclass(eq=False)
class Candidate:
    """One job among those that it is compared with.

    `choice` is what tells it from the others, `label` the same as one line. `runs` are the scores of a measure as
    paired comparisons need them, `values` each answer's score by the measure that decides.
    """

    result: JobFolder
    choice: Mapping[str, str]
    label: str
    answers: Mapping[Key, Answer] = field(default_factory=dict)
    runs: Mapping[str, ScoredRun] = field(default_factory=dict)
    values: Mapping[Key, float] = field(default_factory=dict)
    remarks: Mapping[Key, Sequence[Remark]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the name of its folder, which is its own among all jobs of a sweep."""
        return self.result.path.name

    @property
    def finished(self) -> bool:
        """Tell whether the job came to its end."""
        return self.result.status == "finished"

    def metric(self, name: str) -> float | None:
        """Return a figure, or None where it was not measured."""
        return self.result.metrics.get(name)

    def interval(self, measure: str) -> tuple[float, float] | None:
        """Return the interval of a measure of quality; None where there is none."""
        low, high = (self.metric(f"{measure}/{end}") for end in ("ci_low", "ci_high"))
        return None if low is None or high is None else (low, high)


@dataclass(eq=False)
class Comparison:
    """Candidates that answered the same questions.

    `measures` are the measures of quality that at least one candidate has, the one that decides first; `measure` is
    None where nothing was scored. `metrics` hold, for each measure, name and metric that yield it. `verdicts` say how
    candidates (by label) do against `baseline` by each measure.
    """

    dataset: str
    candidates: Sequence[Candidate]
    samples: Mapping[str, Sample]
    measures: Sequence[Measure]
    settings: ReportConfig
    texts: Texts
    baseline: Candidate
    metrics: Mapping[str, tuple[str, Metric]] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, Verdict]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    others: Sequence[Comparison] = ()  # the report's comparisons, this one included

    @property
    def measure(self) -> Measure | None:
        """Return the measure that decides."""
        return self.measures[0] if self.measures else None

    def quality(self, candidate: Candidate) -> float | None:
        """Return a candidate's figure by the measure that decides."""
        return candidate.metric(tracked(self.measure)) if self.measure else None

    @cached_property
    def memory(self) -> str | None:
        """Return the most exact figure of memory that all finished candidates have; None where there is none."""
        finished = [one for one in self.candidates if one.finished]
        shared = (name for name in MEMORY if finished and all(one.metric(name) is not None for one in finished))
        return next(shared, None)

    @cached_property
    def documents(self) -> int:
        """Count the documents."""
        return len({sample.document for sample in self.samples.values()})

    def color(self, candidate: Candidate) -> int:
        """Return the number of a candidate's colour, the same all over the page."""
        return self.candidates.index(candidate)


@dataclass(eq=False)
class Report:
    """All that one page shows."""

    title: str
    comparisons: Sequence[Comparison]
    settings: ReportConfig
    texts: Texts
    folder: Path

    @property
    def results(self) -> list[JobFolder]:
        """Return all jobs."""
        return [one.result for comparison in self.comparisons for one in comparison.candidates]
