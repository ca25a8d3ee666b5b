"""Decides which candidate the report recommends: checks constraints, finds the Pareto front, and gives the reason.

The rule (docs/report.md): of the candidates that meet all constraints, take the best by the deciding measure. Take a
cheaper candidate instead if it is shown (one-sided, at the report's confidence) to be worse by less than the margin.
Recommend none if all of them fail alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metrics.paired_verdict import PairedVerdict
from runner.config.report_settings import Constraint, parse_constraints
from runner.jobs.costs import PER_PAGES
from runner.jobs.folder import JobFolder
from runner.report import all_fail
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.significance import family

# A saving below this share is ignored: it is not worth a worse answer, and timings on shared machines vary as much.
NOTICEABLE = 0.05


@dataclass(frozen=True, slots=True)
class Check:
    """A constraint applied to a candidate. `met` is None if the figure was not measured; `value` is its text."""

    constraint: Constraint
    met: bool | None
    value: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the report recommends. `reason` explains it; `taken` is None if no candidate can be recommended.

    `checks` maps each candidate's label to its constraints. `optimal` are the labels of the candidates that are
    Pareto-optimal on `axes`.
    """

    taken: Candidate | None
    reason: str
    checks: dict[str, list[Check]]
    optimal: frozenset[str]
    axes: tuple[str, ...]

    def eligible(self, candidate: Candidate) -> bool:
        """Tell whether a candidate's job finished and meets all constraints."""
        return candidate.finished and all(check.met for check in self.checks[candidate.label])


def decide(compared: Comparison) -> Decision:
    """Apply constraints, find the Pareto front, and recommend one candidate."""
    constraints = parse_constraints(compared.settings.constraints)
    checks = {
        candidate.label: [_check(compared, candidate, constraint) for constraint in constraints]
        for candidate in compared.candidates
    }
    axes = _axes(compared)
    front = frozenset(candidate.label for candidate in _front(compared, axes))
    without_choice = Decision(None, "", checks, front, axes)
    taken, reason = _recommend(compared, without_choice)
    reason = " ".join([reason, *_raced(compared, taken)])
    return Decision(taken, reason, checks, front, axes)


# ------------------------------------------------------------------------------------------------- constraints


def _check(compared: Comparison, candidate: Candidate, constraint: Constraint) -> Check:
    value, met = _constrained(candidate.result, constraint), is_met(candidate.result, constraint)
    if value is None:
        return _check_bounds(compared, candidate, constraint)
    return Check(constraint, met, _number(compared, value) if constraint.is_metric else str(value))


def _number(compared: Comparison, value: float) -> str:
    return compared.texts.number(value, ".4g" if abs(value) < 1000 else ",.0f")


def _check_bounds(compared: Comparison, candidate: Candidate, constraint: Constraint) -> Check:
    """Check a figure that is not known by its bounds, where these decide, as those of a capacity may."""
    if not constraint.is_metric:
        return Check(constraint, None, "–")
    group, _, name = constraint.name.partition("/")
    low, high = (candidate.metric(f"{group}/{bound}_{name}") for bound in ("at_least", "below"))
    if constraint.sign in (">", ">=") and low is not None and constraint.holds(low):
        return Check(constraint, True, f"≥\u202f{_number(compared, low)}")
    if constraint.sign in (">", ">=") and high is not None and not constraint.holds(high):
        return Check(constraint, False, f"<\u202f{_number(compared, high)}")
    return Check(constraint, None, "–")


def is_met(result: JobFolder, constraint: Constraint) -> bool | None:
    """Return whether a job meets a constraint; None if what it limits was not measured, or isn't in the config."""
    value = _constrained(result, constraint)
    if value is None:
        return None
    if constraint.is_metric:
        return constraint.holds(value)
    number = isinstance(value, int | float) and not isinstance(value, bool) and constraint.sign not in ("=", "!=")
    return constraint.holds(float(value) if number else str(value))


def _constrained(result: JobFolder, constraint: Constraint) -> Any:
    """Return the figure, or the value in the config, that a constraint limits; None if there is none."""
    if constraint.is_metric:
        return result.metric(constraint.name)
    key = "model.licence" if constraint.name in ("licence", "license") else constraint.name
    value: Any = result.config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


# ------------------------------------------------------------------------------------------------- Pareto


def _axes(compared: Comparison) -> tuple[str, ...]:
    """Return the axes of the Pareto front: of quality, latency, memory and money those that all finished ones have."""
    finished = [candidate for candidate in compared.candidates if candidate.ranked]
    wanted = [tracked(compared.measure)] if compared.measure else []
    wanted += ["latency/p95_s", *([compared.memory] if compared.memory else []), PER_PAGES]
    return tuple(
        name for name in wanted if finished and all(candidate.metric(name) is not None for candidate in finished)
    )


def _front(compared: Comparison, axes: Sequence[str]) -> list[Candidate]:
    """Return the finished candidates that no other dominates (better on an axis, and worse on none)."""
    points = {candidate: _losses(compared, candidate, axes) for candidate in compared.candidates if candidate.ranked}
    return [
        candidate
        for candidate, losses in points.items()
        if axes and not any(_dominates(other, losses) for rival, other in points.items() if rival is not candidate)
    ]


def _losses(compared: Comparison, candidate: Candidate, axes: Sequence[str]) -> list[float]:
    """Return a candidate's figures as losses: lower is better."""
    return [_loss(compared, candidate, name) for name in axes]


def _loss(compared: Comparison, candidate: Candidate, name: str) -> float:
    value = candidate.metric(name)
    if value is None:
        return math.inf
    measure = compared.measure
    higher = measure is not None and name == tracked(measure) and measure.better == "higher"
    return -value if higher else value


def _dominates(losses: Sequence[float], other_losses: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(losses, other_losses, strict=True)) and any(
        a < b for a, b in zip(losses, other_losses, strict=True)
    )


# ------------------------------------------------------------------------------------------------- the recommendation


def _recommend(compared: Comparison, decision: Decision) -> tuple[Candidate | None, str]:
    """Return the recommended candidate and the reason, or None and why there is none."""
    say, measure = compared.texts, compared.measure
    finished = [candidate for candidate in compared.candidates if candidate.ranked]
    if not finished:
        return None, say("verdict.none_finished")
    eligible = [candidate for candidate in finished if decision.eligible(candidate)]
    if not eligible:
        return None, _nobody(compared, decision, finished)
    scored = [candidate for candidate in eligible if compared.quality(candidate) is not None]
    if measure is None or not scored:
        return None, say("verdict.nothing_scored")
    if all_fail.at_the_floor(
        measure, [value for candidate in scored if (value := compared.quality(candidate)) is not None]
    ):
        return None, all_fail.reason(compared, scored)
    if len(finished) == 1 and any(candidate.stopped for candidate in compared.candidates):
        return scored[0], say("verdict.only_left", measure=say.name(measure.name), value=_told(compared, scored[0]))
    if len(finished) == 1:
        return scored[0], say("verdict.only_one", measure=say.name(measure.name), value=_told(compared, scored[0]))
    if len(scored) == 1 and len(eligible) > 1:
        return scored[0], say("verdict.only_scored", measure=say.name(measure.name), value=_told(compared, scored[0]))
    # If figures are equal, the cheaper candidate is the best.
    best = min(
        scored, key=lambda candidate: (_loss(compared, candidate, tracked(measure)), *_costs(compared, candidate))
    )
    others = [candidate for candidate in scored if candidate is not best]
    rivals = family(compared, measure, best, others, compared.settings.margin, best_of=len(scored))
    if ahead := [label for label, verdict in rivals.items() if verdict.word == "better"]:
        # This happens if the best figure excludes unscored answers: on the shared questions it is not the best.
        return None, _reason_unscored(compared, best, ahead)
    cheaper = _cheaper(compared, best, others, rivals)
    if cheaper is not None:
        taken, cost = cheaper
        return taken, _reason_cheaper(compared, taken, best, cost)
    return best, _reason_best(compared, best, others, rivals, len(scored))


def _raced(compared: Comparison, taken: Candidate | None) -> Iterator[str]:
    """Yield what a race did: whom it stopped, and whether it ended before all documents were asked."""
    say, races = compared.texts, [candidate.result.race for candidate in compared.candidates]
    stopped = [candidate for candidate in compared.candidates if candidate.stopped]
    error = next((say.number(race["error"], ".3g") for race in races if race is not None), "")
    if stopped:
        names = say.listed([candidate.label for candidate in stopped])
        yield say("verdict.race_stopped", n=len(stopped), names=names, error=error)
    if taken is not None and taken.result.cut_short:
        race = taken.result.record["race"]
        yield say("verdict.race_ended", documents=race["documents"], of=race["of"])


def _costs(compared: Comparison, candidate: Candidate) -> list[float]:
    """Return a candidate's costs in the order of the settings. A cost that was not measured counts as infinite."""
    names = [compared.memory if wanted == "memory" else wanted for wanted in compared.settings.cost]
    values = [candidate.metric(name) if name else None for name in names]
    return [math.inf if value is None else value for value in values]


def _cheaper(
    compared: Comparison, best: Candidate, others: Sequence[Candidate], rivals: dict[str, PairedVerdict]
) -> tuple[Candidate, str] | None:
    """Return the cheapest candidate that is shown to be non-inferior, and the name of the cost; else None."""
    equal = [candidate for candidate in others if (verdict := rivals.get(candidate.label)) and _not_inferior(verdict)]
    for wanted in compared.settings.cost:
        name = compared.memory if wanted == "memory" else wanted
        before = best.metric(name) if name else None
        prices = {candidate: price for candidate in equal if name and (price := candidate.metric(name)) is not None}
        if name is None or before is None or not prices:
            continue
        cheapest = min(prices, key=lambda candidate, prices=prices: prices[candidate])  # type: ignore[misc]
        if prices[cheapest] < before * (1 - NOTICEABLE):
            return cheapest, name
    return None


def _not_inferior(verdict: PairedVerdict) -> bool:
    test = verdict.paired.non_inferiority
    return test is not None and test.holds


def _reason_cheaper(compared: Comparison, taken: Candidate, best: Candidate, cost: str) -> str:
    say, measure = compared.texts, compared.measure
    assert measure is not None
    before, now = best.metric(cost), taken.metric(cost)
    assert before is not None and now is not None
    return say(
        "verdict.cheaper",
        cost=say.name(cost),
        now=figure(cost, now, say),
        before=figure(cost, before, say),
        share=say.number(1 - now / before, ".0%"),
        best=best.label,
        measure=say.name(measure.name),
        value=_told(compared, taken),
        best_value=_told(compared, best),
        margin=figure(tracked(measure), compared.settings.margin, say),
        confidence=say.number(compared.settings.confidence, ".0%"),
    )


def _reason_unscored(compared: Comparison, best: Candidate, ahead: list[str]) -> str:
    say, measure = compared.texts, compared.measure
    assert measure is not None
    return say(
        "verdict.unscored",
        best=best.label,
        measure=say.name(measure.name),
        value=_told(compared, best),
        names=say.listed(ahead),
        confidence=say.number(compared.settings.confidence, ".0%"),
    )


def _reason_best(
    compared: Comparison, best: Candidate, others: Sequence[Candidate], rivals: dict[str, PairedVerdict], n: int
) -> str:
    say, measure = compared.texts, compared.measure
    assert measure is not None
    if not others:
        return say("verdict.only_eligible", measure=say.name(measure.name), value=_told(compared, best))
    undecided = [
        candidate.label
        for candidate in others
        if candidate.label not in rivals or rivals[candidate.label].word != "worse"
    ]
    text = say("verdict.best", measure=say.name(measure.name), value=_told(compared, best), n=n)
    if not undecided:
        ending = "verdict.all_worse"
    elif len(undecided) == len(others):
        ending = "verdict.none_worse"
    else:
        ending = "verdict.some_worse"
    names = say.listed(undecided) if 0 < len(undecided) <= 3 else say("verdict.candidates", n=len(undecided))
    text += say(
        ending, names=names, n=len(others) - len(undecided), confidence=say.number(compared.settings.confidence, ".0%")
    )
    tested = [verdict for label, verdict in rivals.items() if label in undecided]
    fewest = [_too_few(verdict) for verdict in tested]
    if fewest and all(fewest):
        margin = figure(tracked(measure), compared.settings.margin, say)
        shared = min(verdict.paired.documents for verdict in tested)  # only those scored for both
        text += " " + say("verdict.too_few", documents=shared, fewest=max(fewest), margin=margin)
    elif undecided and any(_has_no_range(verdict) for label, verdict in rivals.items() if label in undecided):
        text += " " + say("verdict.no_range", measure=say.name(measure.name))
    return text


def _too_few(verdict: PairedVerdict) -> int:
    """Return the number of documents needed to show that a candidate is as good; 0 if there are enough."""
    test = verdict.paired.non_inferiority
    return test.fewest if test is not None and test.fewest and verdict.paired.documents < test.fewest else 0


def _has_no_range(verdict: PairedVerdict) -> bool:
    test = verdict.paired.non_inferiority
    return test is not None and test.bound is None


def _nobody(compared: Comparison, decision: Decision, finished: Sequence[Candidate]) -> str:
    """Return the reason if no candidate meets all constraints: the closest one, and the constraints it misses."""
    unmet = {
        candidate.label: [check for check in decision.checks[candidate.label] if not check.met]
        for candidate in finished
    }
    closest = min(finished, key=lambda candidate: len(unmet[candidate.label]))
    missing = ", ".join(f"{check.constraint} ({_value(compared, check)})" for check in unmet[closest.label])
    return compared.texts("verdict.nobody", closest=closest.label, missing=missing)


def _value(compared: Comparison, check: Check) -> str:
    return compared.texts("verdict.not_measured") if check.met is None else check.value


def _told(compared: Comparison, candidate: Candidate) -> str:
    """Return a candidate's quality as text."""
    assert compared.measure is not None
    value = compared.quality(candidate)
    return "–" if value is None else figure(tracked(compared.measure), value, compared.texts)
