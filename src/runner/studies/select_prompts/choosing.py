"""Chooses a prompt per (doc_class, field), and says how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics import statistics
from metrics.paired import Paired, ScoredRun, compare
from runner.base.errors import Problem, Refused
from runner.prompts.template import Template
from runner.studies.select_prompts.candidates import Candidate, Pair, Tried

if TYPE_CHECKING:
    from metrics.api import Array


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure over some samples, with the interval over their documents (None with fewer than two)."""

    value: float
    low: float | None
    high: float | None
    samples: int
    documents: int

    def __str__(self) -> str:
        """Return it for people."""
        interval = "" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}"


@dataclass(frozen=True)
class Choice:
    """The prompt of one (doc_class, field): the best figure; among equals the one that came first in the sweep.

    `left_out` samples were not scored with every prompt, and no prompt was judged by them. `paired` is the chosen
    prompt against the next best on the same samples; None where there is no other.
    """

    pair: Pair
    chosen: Tried
    template: Template
    figure: Figure
    figures: Mapping[str, Figure]
    paired: Paired | None
    samples: tuple[str, ...]
    left_out: int


@dataclass(frozen=True)
class Selection:
    """The choices of one candidate, and the figure of all of them together on the split that they were chosen on."""

    candidate: Candidate
    choices: tuple[Choice, ...]
    overall: Figure
    baseline: Figure
    unchosen: tuple[Pair, ...]  # nothing was scored with every prompt


def select(candidate: Candidate) -> Selection:
    """Choose for every (doc_class, field) of the questions that were asked."""
    pairs = dict.fromkeys(pair for tried in candidate.tried for pair in tried.pairs.values())
    found = [(pair, _choose(candidate, pair)) for pair in pairs]
    choices = tuple(choice for _, choice in found if choice is not None)
    if not choices:
        what = f"{candidate.name}: no question was scored by {candidate.measure.name} with every prompt"
        raise Refused(Problem(what, candidate.name, "see what failed: python -m runner.report SWEEP"))
    first = candidate.tried[0]
    return Selection(
        candidate,
        choices,
        joined(candidate, [(choice.chosen.run, choice.samples) for choice in choices]),
        joined(candidate, [(first.run, choice.samples) for choice in choices]),
        tuple(pair for pair, choice in found if choice is None),
    )


def _choose(candidate: Candidate, pair: Pair) -> Choice | None:
    asked = [sample for sample, own in candidate.tried[0].pairs.items() if own == pair]
    samples = tuple(sample for sample in asked if all(sample in tried.run.stats for tried in candidate.tried))
    if not samples:
        return None
    figures = {tried.label: joined(candidate, [(tried.run, samples)]) for tried in candidate.tried}
    sign = -1 if candidate.measure.better == "higher" else 1
    # Stable: among equals the one that came first. NaN (an undefined figure) goes last.
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


def joined(candidate: Candidate, parts: Sequence[tuple[ScoredRun, Sequence[str]]]) -> Figure:
    """Return the figure over some samples of some runs, no sample in two of them, with its interval over documents."""
    rows = [(run.documents[sample], run.stats[sample]) for run, samples in parts for sample in samples]
    names, cluster = np.unique([document for document, _ in rows], return_inverse=True)
    stats = np.stack([one for _, one in rows])
    columns = [np.bincount(cluster, weights=column, minlength=len(names)) for column in stats.T]
    totals: Array = np.stack(columns, axis=1).astype(np.float64)
    combine = combined(candidate)
    interval = statistics.confidence_interval(totals, combine, candidate.measure)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Figure(float(combine(totals.sum(axis=0))), low, high, len(rows), len(names))


def combined(candidate: Candidate) -> Callable[[Array], Array]:
    """Return the function from summed statistics to the figure."""
    return lambda totals: candidate.metric.combine(candidate.measure.name, totals)


def _against(candidate: Candidate, other: Tried, best: Tried, samples: Sequence[str]) -> Paired | None:
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
