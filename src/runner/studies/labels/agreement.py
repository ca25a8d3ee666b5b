"""Measures how well a measure, such as a judge's score, agrees with the scores that people gave to the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics.agreement import Agreement, agreement
from metrics.api import Score
from runner.base.errors import Problem, Refused
from runner.studies.compare.jobs import Scored
from runner.studies.export.scored_answers import scored_answers
from runner.studies.labels.table import Labels

if TYPE_CHECKING:
    from metrics.statistics import Interval


@dataclass(frozen=True, slots=True)
class DisputedAnswer:
    """An answer whose human score and measured score are far apart."""

    sample_id: str
    candidate: str
    question: str
    answer: str
    human: float
    measured: float
    explanation: str


@dataclass(frozen=True, slots=True)
class MeasureAgreement:
    """The agreement of a measure with people. `unscored` counts the labelled answers without a score of the measure."""

    measure: str
    better: str
    agreement: Agreement
    unscored: int
    disputed: Sequence[DisputedAnswer]

    def __str__(self) -> str:
        """Return the agreement as a line of text."""
        agreed = self.agreement
        figures = [f"rank correlation {_figure(agreed.spearman, agreed.spearman_interval)}"]
        if agreed.kappa is not None:
            figures.append(f"kappa {_figure(agreed.kappa, agreed.kappa_interval)}")
        if agreed.equal is not None and agreed.bias is not None:
            figures.append(f"equal {agreed.equal:.1%}, {agreed.bias:+.3f} from people on average")
        lost = f"; {self.unscored} labelled answers have no {self.measure}" if self.unscored else ""
        sign = " (lower is better: the sign is turned, 1 is full agreement)" if self.better == "lower" else ""
        counts = f"{agreed.n} answers on {agreed.documents} documents"
        return f"{self.measure} against people, {counts}: {', '.join(figures)}{sign}{lost}"


def check(labels: Labels, jobs: Sequence[Scored], measure: str) -> MeasureAgreement:
    """Compare a measure with people on the labelled answers.

    Raise Refused if a label names an unknown job or answer, or if no answer has both scores.
    """
    pairs: list[tuple[str, float, float, DisputedAnswer]] = []
    left = dict(labels.scores)
    unscored = 0
    for job in jobs:
        better = _better(job, measure)
        for answer in scored_answers(job):
            human = left.pop((answer.row["sample_id"], answer.row["repeat"], job.name), None)
            if human is None:
                continue
            score: Score | None = answer.scores.get(measure)
            if score is None or score.value is None:
                unscored += 1
                continue
            row = answer.row
            described = (row["sample_id"], job.name, row["question"], row["text"] or "")
            pairs.append(
                (row["document"], human, score.value, DisputedAnswer(*described, human, score.value, score.detail))
            )
    if left:
        sample, repeat, candidate = next(iter(left))
        known = ", ".join(job.name for job in jobs)
        example = f"sample {sample}, repeat {repeat}, of {candidate}"
        what = f"{len(left)} labels belong to no answer of these jobs, such as {example}"
        raise Refused(Problem(what, remedy=f"name the jobs that were labelled; these are: {known}"))
    if not pairs:
        raise Refused(Problem(f"no labelled answer has a score of {measure}", remedy="choose another with --measure"))
    better = _better(jobs[0], measure)
    sign = -1.0 if better == "lower" else 1.0
    human_scores, measured_scores = (np.array([pair[place] for pair in pairs]) for place in (1, 2))
    # For a measure where lower is better the sign is turned: a CER of 0 and a human score of 1 both mean right.
    agreed = agreement(human_scores, sign * measured_scores, [pair[0] for pair in pairs])
    return MeasureAgreement(measure, better, agreed, unscored, _furthest(pairs, sign))


def measures(jobs: Sequence[Scored]) -> list[str]:
    """Return the measures to compare with people: those of the judge if there are any, else all of quality."""
    known: Mapping[str, str] = {
        name: described.group for job in jobs for name, (_, _, described) in job.measures.items()
    }
    scored = {score.name for job in jobs for score in job.scores if score.value is not None}
    judged = [name for name in known if name in scored and (known[name] == "judge" or name.startswith("judge"))]
    return judged or [name for name in known if name in scored and known[name] == "quality"]


def _furthest(pairs: Sequence[tuple[str, float, float, DisputedAnswer]], sign: float) -> list[DisputedAnswer]:
    """Return the answers whose ranks by human and by measured score differ, the largest difference first."""
    from scipy import stats

    human = stats.rankdata([pair[1] for pair in pairs])
    measured = stats.rankdata([sign * pair[2] for pair in pairs])
    order = np.argsort(-np.abs(human - measured), kind="stable")
    return [pairs[place][3] for place in order if human[place] != measured[place]]


def _better(job: Scored, measure: str) -> str:
    if measure not in job.measures:
        known = ", ".join(job.measures) or "none"
        raise Refused(Problem(f"{job.name} has no measure {measure!r}", "--measure", f"it has: {known}"))
    return str(job.measures[measure][2].better)


def _figure(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "undefined (one side gave a single score)"
    return f"{value:.3f}" + ("" if interval is None else f" [{interval.low:.3f}, {interval.high:.3f}]")
