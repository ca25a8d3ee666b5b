"""How well a job's measure, such as a judge's score, agrees with the scores that people gave to the same answers."""

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
class Doubt:
    """An answer on which people and the measure are far apart."""

    sample_id: str
    candidate: str
    question: str
    answer: str
    human: float
    measured: float
    explanation: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The agreement of one measure with people; `unscored` labelled answers have no score of that measure."""

    measure: str
    better: str
    agreement: Agreement
    unscored: int
    doubts: Sequence[Doubt]

    def __str__(self) -> str:
        """Return what a reader needs."""
        one = self.agreement
        told = [f"rank correlation {_figure(one.spearman, one.spearman_interval)}"]
        if one.kappa is not None:
            told.append(f"kappa {_figure(one.kappa, one.kappa_interval)}")
        if one.equal is not None and one.bias is not None:
            told.append(f"equal {one.equal:.1%}, {one.bias:+.3f} from people on average")
        lost = f"; {self.unscored} labelled answers have no {self.measure}" if self.unscored else ""
        sign = " (lower is better: the sign is turned, 1 is full agreement)" if self.better == "lower" else ""
        counts = f"{one.n} answers on {one.documents} documents"
        return f"{self.measure} against people, {counts}: {', '.join(told)}{sign}{lost}"


def check(labels: Labels, jobs: Sequence[Scored], measure: str) -> Checked:
    """Compare a measure with people on the labelled answers.

    Raise Refused where a label names a job or an answer that is not there, or nothing has both scores.
    """
    pairs: list[tuple[str, float, float, Doubt]] = []
    left = dict(labels.scores)
    unscored = 0
    for job in jobs:
        better = _better(job, measure)
        for one in scored_answers(job):
            human = left.pop((one.row["sample_id"], one.row["repeat"], job.name), None)
            if human is None:
                continue
            score: Score | None = one.scores.get(measure)
            if score is None or score.value is None:
                unscored += 1
                continue
            row = one.row
            told = (row["sample_id"], job.name, row["question"], row["text"] or "")
            pairs.append((row["document"], human, score.value, Doubt(*told, human, score.value, score.detail)))
    if left:
        sample, repeat, candidate = next(iter(left))
        known = ", ".join(job.name for job in jobs)
        what = f"{len(left)} labels are of no answer here, such as sample {sample}, repeat {repeat}, of {candidate}"
        raise Refused(Problem(what, remedy=f"name the jobs that were labelled; these are: {known}"))
    if not pairs:
        raise Refused(Problem(f"no labelled answer has a score of {measure}", remedy="choose another with --measure"))
    better = _better(jobs[0], measure)
    sign = -1.0 if better == "lower" else 1.0
    given, scored = (np.array([pair[place] for pair in pairs]) for place in (1, 2))
    # Cer 0 and a human 1 mean the same: only the order can be compared then.
    found = agreement(given, sign * scored, [pair[0] for pair in pairs])
    return Checked(measure, better, found, unscored, _furthest(pairs, sign))


def measures(jobs: Sequence[Scored]) -> list[str]:
    """Return the measures that may be compared with people: the judge's where there are any, else all of quality."""
    known: Mapping[str, str] = {name: one.group for job in jobs for name, (_, _, one) in job.measures.items()}
    scored = {score.name for job in jobs for score in job.scores if score.value is not None}
    judged = [name for name in known if name in scored and (known[name] == "judge" or name.startswith("judge"))]
    return judged or [name for name in known if name in scored and known[name] == "quality"]


def _furthest(pairs: Sequence[tuple[str, float, float, Doubt]], sign: float) -> list[Doubt]:
    """Return the answers by how far the ranks of both scores are apart."""
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
