"""Which candidate to take: who meets the constraints, who is Pareto-optimal, and who is recommended, for which reason.

The rule, as docs/report.md tells it: of those that meet all constraints, the best by the measure that decides; a
cheaper one instead, where it is shown (one-sided, at the report's confidence) to be worse by less than the margin.
Nobody, where all of them fail alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metrics.paired_verdict import PairedVerdict
from runner.config.report_settings import Constraint, parse_constraints
from runner.report import all_fail
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.significance import family

# A difference in cost below this share is not worth a worse answer; timings on shared machines vary by as much.
NOTICEABLE = 0.05


@dataclass(frozen=True, slots=True)
class Check:
    """One constraint on one candidate; `met` is None where the figure was not measured. `value` is for people."""

    constraint: Constraint
    met: bool | None
    value: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the report recommends. `reason` is one sentence; `taken` is None where nothing can be recommended.

    `checks` hold each candidate's constraints by label, `optimal` the labels of the Pareto-optimal ones on `axes`.
    """

    taken: Candidate | None
    reason: str
    checks: dict[str, list[Check]]
    optimal: frozenset[str]
    axes: tuple[str, ...]

    def eligible(self, candidate: Candidate) -> bool:
        """Tell whether a candidate ended and meets all constraints."""
        return candidate.finished and all(one.met for one in self.checks[candidate.label])


def decide(compared: Comparison) -> Decision:
    """Apply constraints, find the Pareto front, and recommend one candidate."""
    constraints = parse_constraints(compared.settings.constraints)
    checks = {
        one.label: [_check(compared, one, constraint) for constraint in constraints] for one in compared.candidates
    }
    axes = _axes(compared)
    front = frozenset(one.label for one in _front(compared, axes))
    open_ = Decision(None, "", checks, front, axes)
    taken, reason = _recommend(compared, open_)
    return Decision(taken, reason, checks, front, axes)


# ------------------------------------------------------------------------------------------------- constraints


def _check(compared: Comparison, candidate: Candidate, constraint: Constraint) -> Check:
    if constraint.is_metric:
        value = candidate.metric(constraint.name)
        if value is None:
            return Check(constraint, None, "–")
        return Check(constraint, constraint.holds(value), compared.texts.number(value, ".4g"))
    said = _config(candidate, "model.licence" if constraint.name in ("licence", "license") else constraint.name)
    if said is None:
        return Check(constraint, None, "–")
    number = isinstance(said, int | float) and not isinstance(said, bool) and constraint.sign not in ("=", "!=")
    return Check(constraint, constraint.holds(float(said) if number else str(said)), str(said))


def _config(candidate: Candidate, key: str) -> Any:
    value: Any = candidate.result.config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


# ------------------------------------------------------------------------------------------------- Pareto


def _axes(compared: Comparison) -> tuple[str, ...]:
    """Return what is weighed against each other: what every finished candidate has of quality, latency, memory."""
    finished = [one for one in compared.candidates if one.finished]
    wanted = [tracked(compared.measure)] if compared.measure else []
    wanted += ["latency/p95_s", *([compared.memory] if compared.memory else [])]
    return tuple(name for name in wanted if finished and all(one.metric(name) is not None for one in finished))


def _front(compared: Comparison, axes: Sequence[str]) -> list[Candidate]:
    """Return the finished candidates that no other beats on one axis without losing on another."""
    points = {one: _losses(compared, one, axes) for one in compared.candidates if one.finished}
    return [
        one
        for one, losses in points.items()
        if axes and not any(_dominates(other, losses) for rival, other in points.items() if rival is not one)
    ]


def _losses(compared: Comparison, candidate: Candidate, axes: Sequence[str]) -> list[float]:
    """Return a candidate's figures with the sign that makes less better."""
    return [_loss(compared, candidate, name) for name in axes]


def _loss(compared: Comparison, candidate: Candidate, name: str) -> float:
    value = candidate.metric(name)
    if value is None:
        return math.inf
    measure = compared.measure
    higher = measure is not None and name == tracked(measure) and measure.better == "higher"
    return -value if higher else value


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


# ------------------------------------------------------------------------------------------------- the recommendation


def _recommend(compared: Comparison, decision: Decision) -> tuple[Candidate | None, str]:
    """Return the candidate to take and why, or None and why none."""
    say, measure = compared.texts, compared.measure
    finished = [one for one in compared.candidates if one.finished]
    if not finished:
        return None, say("verdict.none_finished")
    eligible = [one for one in finished if decision.eligible(one)]
    if not eligible:
        return None, _nobody(compared, decision, finished)
    scored = [one for one in eligible if compared.quality(one) is not None]
    if measure is None or not scored:
        return None, say("verdict.nothing_scored")
    if all_fail.at_the_floor(measure, [value for one in scored if (value := compared.quality(one)) is not None]):
        return None, all_fail.reason(compared, scored)
    if len(finished) == 1:
        return scored[0], say("verdict.only_one", measure=say.name(measure.name), value=_told(compared, scored[0]))
    if len(scored) == 1 and len(eligible) > 1:
        return scored[0], say("verdict.only_scored", measure=say.name(measure.name), value=_told(compared, scored[0]))
    # Of equal figures the cheaper one.
    best = min(scored, key=lambda one: (_loss(compared, one, tracked(measure)), *_costs(compared, one)))
    others = [one for one in scored if one is not best]
    rivals = family(compared, measure, best, others, compared.settings.margin, best_of=len(scored))
    if ahead := [label for label, one in rivals.items() if one.word == "better"]:
        # Only where the best figure leaves out more: on what both have scored it is not the best.
        return None, _reason_unscored(compared, best, ahead)
    cheaper = _cheaper(compared, best, others, rivals)
    if cheaper is not None:
        taken, cost = cheaper
        return taken, _reason_cheaper(compared, taken, best, cost)
    return best, _reason_best(compared, best, others, rivals, len(scored))


def _costs(compared: Comparison, candidate: Candidate) -> list[float]:
    """Return what a candidate costs, in the order of the settings; what was not measured is dear."""
    names = [compared.memory if wanted == "memory" else wanted for wanted in compared.settings.cost]
    values = [candidate.metric(name) if name else None for name in names]
    return [math.inf if value is None else value for value in values]


def _cheaper(
    compared: Comparison, best: Candidate, others: Sequence[Candidate], rivals: dict[str, PairedVerdict]
) -> tuple[Candidate, str] | None:
    """Return the cheapest candidate shown to be no worse than the margin allows, and by which cost; or None."""
    equal = [one for one in others if (found := rivals.get(one.label)) and _not_inferior(found)]
    for wanted in compared.settings.cost:
        name = compared.memory if wanted == "memory" else wanted
        before = best.metric(name) if name else None
        prices = {one: price for one in equal if name and (price := one.metric(name)) is not None}
        if name is None or before is None or not prices:
            continue
        cheapest = min(prices, key=lambda one, prices=prices: prices[one])  # type: ignore[misc]
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
    open_ = [one.label for one in others if one.label not in rivals or rivals[one.label].word != "worse"]
    text = say("verdict.best", measure=say.name(measure.name), value=_told(compared, best), n=n)
    if not open_:
        ending = "verdict.all_worse"
    elif len(open_) == len(others):
        ending = "verdict.none_worse"
    else:
        ending = "verdict.some_worse"
    names = say.listed(open_) if 0 < len(open_) <= 3 else say("verdict.candidates", n=len(open_))
    text += say(
        ending, names=names, n=len(others) - len(open_), confidence=say.number(compared.settings.confidence, ".0%")
    )
    tested = [one for label, one in rivals.items() if label in open_]
    fewest = [_too_few(one) for one in tested]
    if fewest and all(fewest):
        margin = figure(tracked(measure), compared.settings.margin, say)
        shared = min(one.paired.documents for one in tested)  # scored for both, which may not be all
        text += " " + say("verdict.too_few", documents=shared, fewest=max(fewest), margin=margin)
    elif open_ and any(_has_no_range(one) for label, one in rivals.items() if label in open_):
        text += " " + say("verdict.no_range", measure=say.name(measure.name))
    return text


def _too_few(verdict: PairedVerdict) -> int:
    """Return how many documents it takes at least to show that a candidate is as good; 0 where there are enough."""
    test = verdict.paired.non_inferiority
    return test.fewest if test is not None and test.fewest and verdict.paired.documents < test.fewest else 0


def _has_no_range(verdict: PairedVerdict) -> bool:
    test = verdict.paired.non_inferiority
    return test is not None and test.bound is None


def _nobody(compared: Comparison, decision: Decision, finished: Sequence[Candidate]) -> str:
    """Say which constraints stand in the way, and who comes closest."""
    unmet = {one.label: [check for check in decision.checks[one.label] if not check.met] for one in finished}
    closest = min(finished, key=lambda one: len(unmet[one.label]))
    missing = ", ".join(f"{check.constraint} ({_value(compared, check)})" for check in unmet[closest.label])
    return compared.texts("verdict.nobody", closest=closest.label, missing=missing)


def _value(compared: Comparison, check: Check) -> str:
    return compared.texts("verdict.not_measured") if check.met is None else check.value


def _told(compared: Comparison, candidate: Candidate) -> str:
    """Return a candidate's quality as text."""
    assert compared.measure is not None
    value = compared.quality(candidate)
    return "–" if value is None else figure(tracked(compared.measure), value, compared.texts)
