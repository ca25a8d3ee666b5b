"""What holding answers to a schema costs or gains: pairs of jobs that differ in nothing else (prompt.schema_mode)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from metrics.api import Measure
from metrics.paired import MeanStatistics, NothingToCompare, Paired, ScoredRun, compare
from metrics.statistics import ratio_of_sums
from runner.report import schema_modes
from runner.report.decision import Decision
from runner.report.figures import figure
from runner.report.model import VALIDITY, Candidate, CandidateAnswer, Comparison, tracked

if TYPE_CHECKING:
    from metrics.api import Array

# What each answer cost, by the name of the figure that says how it is written.
COSTS: Mapping[str, Callable[[CandidateAnswer], float | None]] = {
    "tokens": lambda answer: answer.completion_tokens,
    "latency/mean_s": lambda answer: answer.latency_s,
}


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each pair and figure; None where no job was run both ways."""
    rows = [row for pair in schema_modes.pairs(compared) for row in _rows(compared, *pair)]
    return {"rows": rows} if rows else None


def _rows(compared: Comparison, told: Candidate, enforced: Candidate) -> Iterator[dict[str, str]]:
    for measure in [*_validity(compared), *compared.measures]:
        runs = [candidate.runs.get(measure.name) for candidate in (told, enforced)]
        metric = compared.metrics[measure.name][1]
        combine = functools.partial(metric.combine, measure.name)
        yield from _row(compared, told, tracked(measure), measure, combine, runs)
    for name, cost in COSTS.items():
        measure = Measure(name.replace("/", "."), "lower", "mean", 0, None, "mean")
        yield from _row(
            compared, told, name, measure, ratio_of_sums, [_costs(candidate, cost) for candidate in (told, enforced)]
        )


def _validity(compared: Comparison) -> list[Measure]:
    """Return the measure of valid answers, unless it stands among the others."""
    shown = {measure.name for measure in compared.measures}
    names = [name for name in VALIDITY if name in compared.metrics and name not in shown][:1]
    return [measure for name in names for measure in compared.metrics[name][1].measures if measure.name == name]


def _costs(candidate: Candidate, cost: Callable[[CandidateAnswer], float | None]) -> ScoredRun | None:
    """Return what the answers of a candidate cost; None where that was not measured."""
    stats = MeanStatistics()
    for (sample, _), answer in candidate.answers.items():
        if answer.text is not None and (value := cost(answer)) is not None:
            stats.add(sample, (float(value), 1.0))
    documents = next((run.documents for run in candidate.runs.values()), None)
    if not stats or documents is None:
        return None
    return ScoredRun(candidate.label, documents, stats, len(documents) - len(stats))


def _row(
    compared: Comparison,
    told: Candidate,
    name: str,
    measure: Measure,
    combine: Callable[[Array], Array],
    runs: list[ScoredRun | None],
) -> Iterator[dict[str, str]]:
    """Yield the row of one figure; none where the two share no answer that has it."""
    first, second = runs
    if first is None or second is None or not set(first.stats) & set(second.stats):
        return
    try:
        paired, say = compare(measure, combine, first, second), compared.texts
    except NothingToCompare:
        return
    yield {
        "candidate": told.label.removesuffix(f" schema_mode {schema_modes.TOLD}"),
        "figure": say.name(name.removeprefix("quality/")),
        "told": figure(name, paired.value_baseline, say),
        "constrained": figure(name, paired.value_candidate, say),
        "difference": _difference(compared, name, paired),
        "n": say.number(paired.samples, ".0f"),
    }


def _difference(compared: Comparison, name: str, paired: Paired) -> str:
    say = compared.texts
    digits = "+.1f" if name == "tokens" else "+.3f"
    text = say.number(paired.difference + 0.0, digits)
    if paired.ci_low is None or paired.ci_high is None:
        return text
    return f"{text} {say.interval(say.number(paired.ci_low, digits), say.number(paired.ci_high, digits))}"
