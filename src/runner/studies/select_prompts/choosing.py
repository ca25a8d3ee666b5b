"""Chooses the best prompt per (doc_class, field), with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics import statistics
from metrics.paired import Paired, ScoredRun, compare
from runner.base.errors import Problem, Refused
from runner.prompts.template import Template
from runner.studies.select_prompts.candidates import ModelTrials, Pair, TriedPrompt

if TYPE_CHECKING:
    from metrics.api import Array


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure over some samples with its confidence interval over documents (None with fewer than two)."""

    value: float
    low: float | None
    high: float | None
    samples: int
    documents: int

    def __str__(self) -> str:
        """Return the value and its interval as text."""
        interval = "" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}"


@dataclass(frozen=True)
class Choice:
    """The chosen prompt of a (doc_class, field): the one with the best figure; ties go to the first in the sweep.

    `samples` are those scored with every prompt; `left_out` counts the others, which no figure includes. `paired`
    compares the chosen prompt with the next best on the same samples; None if it can't be computed.
    """

    pair: Pair
    chosen: TriedPrompt
    template: Template
    figure: Estimate
    figures: Mapping[str, Estimate]
    paired: Paired | None
    samples: tuple[str, ...]
    left_out: int


@dataclass(frozen=True)
class Selection:
    """The choices for one model, with the overall figure on the split that they were chosen on.

    `overall` is that of the chosen prompts together, `baseline` that of the first prompt on the same samples.
    """

    candidate: ModelTrials
    choices: tuple[Choice, ...]
    overall: Estimate
    baseline: Estimate
    unchosen: tuple[Pair, ...]  # pairs without a sample that was scored with every prompt


def select(candidate: ModelTrials) -> Selection:
    """Choose a prompt for every (doc_class, field) that was asked about. Raise Refused if none can be chosen."""
    pairs = dict.fromkeys(pair for tried in candidate.tried for pair in tried.pairs.values())
    choice_by_pair = [(pair, _choose(candidate, pair)) for pair in pairs]
    choices = tuple(choice for _, choice in choice_by_pair if choice is not None)
    if not choices:
        what = f"{candidate.name}: no question was scored by {candidate.measure.name} with every prompt"
        raise Refused(Problem(what, candidate.name, "see what failed: python -m runner.report SWEEP"))
    first = candidate.tried[0]
    return Selection(
        candidate,
        choices,
        joined(candidate, [(choice.chosen.run, choice.samples) for choice in choices]),
        joined(candidate, [(first.run, choice.samples) for choice in choices]),
        tuple(pair for pair, choice in choice_by_pair if choice is None),
    )


def _choose(candidate: ModelTrials, pair: Pair) -> Choice | None:
    asked = [sample for sample, own in candidate.tried[0].pairs.items() if own == pair]
    samples = tuple(sample for sample in asked if all(sample in tried.run.stats for tried in candidate.tried))
    if not samples:
        return None
    figures = {tried.label: joined(candidate, [(tried.run, samples)]) for tried in candidate.tried}
    sign = -1 if candidate.measure.better == "higher" else 1
    # The sort is stable, so ties go to the first prompt of the sweep. NaN (an undefined figure) goes last.
    order = sorted(candidate.tried, key=lambda tried: np.nan_to_num(sign * figures[tried.label].value, nan=np.inf))
    best = order[0]
    template = best.template(pair)
    assert template is not None, "a prompt that answered has a template"
    return Choice(
        pair,
        best,
        template,
        figures[best.label],
        figures,
        _against(candidate, order[1], best, samples),
        samples,
        len(asked) - len(samples),
    )


def joined(candidate: ModelTrials, parts: Sequence[tuple[ScoredRun, Sequence[str]]]) -> Estimate:
    """Return the figure over the given samples of several runs; each sample may be in one run only."""
    rows = [(run.documents[sample], run.stats[sample]) for run, samples in parts for sample in samples]
    names, cluster = np.unique([document for document, _ in rows], return_inverse=True)
    stats = np.stack([row_stats for _, row_stats in rows])
    columns = [np.bincount(cluster, weights=column, minlength=len(names)) for column in stats.T]
    totals: Array = np.stack(columns, axis=1).astype(np.float64)
    combine = combined(candidate)
    interval = statistics.confidence_interval(totals, combine, candidate.measure)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Estimate(float(combine(totals.sum(axis=0))), low, high, len(rows), len(names))


def combined(candidate: ModelTrials) -> Callable[[Array], Array]:
    """Return the function that turns summed statistics (..., k) into figures (...)."""
    return lambda totals: candidate.metric.combine(candidate.measure.name, totals)


def _against(candidate: ModelTrials, other: TriedPrompt, best: TriedPrompt, samples: Sequence[str]) -> Paired | None:
    runs = [
        ScoredRun(
            tried.label,
            {sample: tried.run.documents[sample] for sample in samples},
            {sample: tried.run.stats[sample] for sample in samples},
            0,
        )
        for tried in (other, best)
    ]
    try:
        return compare(candidate.measure, combined(candidate), *runs)
    except ValueError:  # no document has a figure on both sides
        return None
