"""From a judge's verdicts to scores: the ratio candidate / reference answer, or points against a reference.

    order 1: candidate 8, rival 9; order 2 (rival shown first): candidate 7, rival 9  ->  ratio 15 / 18 = 0.833,
    swap_gap (|8 - 7| + |9 - 9|) / 2 = 0.5 points

The runner asks (`metrics.rubric` says what) and leaves the verdicts in `Case.facts["verdicts"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from metrics.api import Case, Measure, Score
from metrics.rubric import KINDS, Kind
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array

# failed: the request, after its retries; not_asked: the budget was spent.
State = Literal["valid", "invalid", "failed", "not_asked"]
Orders = Literal["both", "alternate"]
_SOURCE = 'Zheng et al. 2023, "Judging LLM-as-a-Judge"'
_EXPLANATION_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge said of one answer, shown in one order: points by criterion, and why; or why there are none."""

    judge: str
    order: int
    state: State
    candidate: Mapping[str, float] = field(default_factory=dict)
    rival: Mapping[str, float] = field(default_factory=dict)
    explanation: str = ""
    problem: str = ""


def cannot_judge(kind: str, case: Case) -> str:
    """Return why there is nothing to ask a judge about a case, or nothing."""
    if case.prediction is None:
        return f"no answer: {case.facts.get('failure') or 'the generation failed'}"
    if kind == "pairwise" and not (case.rival or "").strip():
        return "no reference answer to compare with"
    if kind == "absolute" and not any(reference.strip() for reference in case.references):
        return "empty reference" if case.references else "no reference"
    return ""


class Judge:
    """Scores from the verdicts of one judge or several, who agree or not (`agreement`).

    `criteria` are the names of a rubric's criteria, `judges` map a judge's name to the model that it is; `rubric` and
    `rival` name the content of prompt and reference answers, so that what was judged otherwise isn't compared.
    `orders`: `both` asks about each pair twice, `alternate` once, by turns candidate or rival first.
    """

    env = "current"

    def __init__(
        self,
        kind: Kind = "pairwise",
        criteria: Sequence[str] = ("quality",),
        scale: Sequence[float] = (0, 10),
        judges: Mapping[str, str] | None = None,
        orders: Orders = "both",
        rubric: str = "",
        rival: str = "",
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}; valid: {', '.join(KINDS)}")
        if orders not in ("both", "alternate"):
            raise ValueError(f"orders is {orders!r}; valid: both, alternate")
        self.kind: Kind = kind
        self.criteria, self.judges, self.orders = tuple(criteria), dict(judges or {"judge": ""}), orders
        self.low, self.high = float(scale[0]), float(scale[1])
        self._content = f"rubric={rubric} rival={rival}" if kind == "pairwise" else f"rubric={rubric}"
        self.main = "ratio" if kind == "pairwise" else "score"
        self.measures = tuple(self._measures())

    @property
    def version(self) -> str:
        """Who judged, by which rubric, against which answers: what decides the numbers."""
        who = ",".join(f"{name}:{model}" for name, model in sorted(self.judges.items()))
        return f"1 {self.kind} {self.orders} {self._content} judges={who}"

    def _measures(self) -> Iterator[Measure]:
        pairwise, source = self.kind == "pairwise", _SOURCE
        low, high = (0.0, None) if pairwise else (self.low, self.high)
        formula = "points of the answer / points of the reference answer" if pairwise else "points of the answer"

        def quality(name: str, text: str) -> Measure:
            return Measure(name, "higher", "mean", low, high, text, source, "judge")

        yield quality(self.main, f"mean of {formula}; invalid and failed verdicts are dropped")
        yield quality(f"{self.main}_worst", "the same, invalid and failed verdicts and failed answers count as worst")
        if len(self.criteria) > 1:
            for name in self.criteria:
                yield quality(f"{self.main}.{name}", f"mean of {formula} by the criterion {name}")
        if len(self.judges) > 1:
            for name in self.judges:
                yield quality(f"{self.main}.by.{name}", f"mean of {formula} by the judge {name}")
        if pairwise and self.orders == "both":
            width = self.high - self.low
            text = "mean of the absolute difference of an answer's points shown first and shown second"
            yield Measure("swap_gap", "lower", "mean", 0, width, text, source, "judge")
            text = "mean of (points shown first - points shown second): above 0 the judge favours what comes first"
            yield Measure("position_bias", "neither", "mean", -width, width, text, source, "judge")
        for state, what in (("invalid", "break the schema or the scale, even after repair"), ("failed", "never came")):
            yield Measure(state, "lower", "mean", 0, 1, f"share of verdicts that {what}", "this project", "judge")

    def shown_in(self, case: Case) -> tuple[int, ...]:
        """Return the orders in which a case is shown to each judge."""
        if self.kind == "absolute":
            return (1,)
        if self.orders == "both":
            return (1, 2)
        return (1 + sum(case.sample_id.encode()) % 2,)

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            yield from self._case(case)

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (values, number), shape (..., 2), into means, shape (...)."""
        return ratio_of_sums(totals)

    def _case(self, case: Case) -> Iterator[Score]:
        verdicts: Sequence[Verdict] = case.facts.get("verdicts") or ()
        found = {name: _Opinion(self, [one for one in verdicts if one.judge == name]) for name in self.judges}
        heard = [one for one in found.values() if not one.reason]
        reason = cannot_judge(self.kind, case)
        reason = reason or "; ".join(f"{name}: {one.reason}" for name, one in found.items())
        detail = "\n".join(one.detail(name) for name, one in found.items())[: _EXPLANATION_CHARACTERS * len(found)]

        def made(name: str, values: Sequence[float | None], why: str = reason, told: str = "") -> Score:
            return _mean_score(case, name, values, why, told)

        yield made(self.main, [one.value() for one in heard], told=detail)
        yield self._worst(case, found, reason)
        for measure in self.measures[2:]:
            name = measure.name
            if name in ("invalid", "failed"):
                asked = [one for one in verdicts if one.state != "not_asked"]
                share = [sum(one.state == name for one in asked) / len(asked)] if asked else []
                yield made(name, share)
            elif name == "swap_gap":
                yield made(name, [one.gap for one in heard])
            elif name == "position_bias":
                yield made(name, [one.bias for one in heard])
            elif name.startswith(f"{self.main}.by."):
                opinion = found[name.removeprefix(f"{self.main}.by.")]
                yield made(name, [] if opinion.reason else [opinion.value()], opinion.reason)
            else:
                yield made(name, [one.value(name.removeprefix(f"{self.main}.")) for one in heard])

    def _worst(self, case: Case, found: Mapping[str, _Opinion], why: str) -> Score:
        """Count what has no valid verdict as the lowest points; what was not asked stays unscored."""
        name = f"{self.main}_worst"
        lowest = self.low if self.kind == "absolute" else self.low / self.high
        if case.prediction is None:
            reason = cannot_judge(self.kind, replace(case, prediction=""))
            return _mean_score(case, name, [] if reason else [lowest], reason)
        values = [
            lowest if one.reason else one.value()
            for one in found.values()
            if one.verdicts and not one.not_asked and not one.undefined
        ]
        return _mean_score(case, name, values, why)

    def agreement(self, cases: Sequence[Case]) -> dict[str, float]:
        """Return Krippendorff's alpha of several judges (interval scale), overall and by criterion, as far as defined.

        Units are the answers that at least two judges gave points: the points against a reference, or the difference
        of candidate and rival. 1 is perfect agreement, 0 what chance would give. Krippendorff 2004, "Content Analysis".
        """
        if len(self.judges) < 2:
            return {}
        rows: dict[str, list[list[float]]] = {
            name: [] for name in ("alpha", *(f"alpha.{one}" for one in self.criteria if len(self.criteria) > 1))
        }
        for case in cases:
            verdicts = case.facts.get("verdicts") or ()
            opinions = [_Opinion(self, [one for one in verdicts if one.judge == name]) for name in self.judges]
            for name, units in rows.items():
                units.append([one.advantage(name.partition(".")[2]) for one in opinions])
        found = {name: _alpha(np.array(units, dtype=np.float64).T) for name, units in rows.items() if units}
        return {name: value for name, value in found.items() if value is not None}


def _mean_score(case: Case, name: str, values: Sequence[float | None], why: str, told: str = "") -> Score:
    """Return the mean of what there is as a score, or unscored with the reason."""
    kept = [value for value in values if value is not None]
    if not kept:
        return Score(case.sample_id, case.repeat, name, None, reason=why or "not judged", detail=told)
    value = sum(kept) / len(kept)
    return Score(case.sample_id, case.repeat, name, value, (value, 1.0), detail=told)


class _Opinion:
    """What one judge said of one case, over all orders; `reason` says why it is not complete."""

    def __init__(self, judge: Judge, verdicts: Sequence[Verdict]) -> None:
        self.judge, self.verdicts = judge, verdicts
        bad = [one for one in verdicts if one.state != "valid"]
        self.not_asked = any(one.state == "not_asked" for one in bad)
        self.reason = f"{bad[0].state.replace('_', ' ')}: {bad[0].problem}" if bad else ""
        self.undefined = False
        if not verdicts:
            self.reason = "not judged"
        elif not bad and judge.kind == "pairwise" and self._mean("rival", "") == 0:
            self.undefined, self.reason = True, "the reference answer got 0 points: no ratio"

    def value(self, criterion: str = "") -> float | None:
        """Return the ratio or the points, overall or by a criterion; None where the rival got 0 points."""
        own = self._mean("candidate", criterion)
        if self.judge.kind == "absolute":
            return own
        other = self._mean("rival", criterion)
        return own / other if other else None

    def advantage(self, criterion: str) -> float:
        """Return the points, in a pair those above the rival's; NaN where the verdicts aren't complete."""
        if not self.verdicts or any(one.state != "valid" for one in self.verdicts):
            return float("nan")
        own = self._mean("candidate", criterion)
        return own if self.judge.kind == "absolute" else own - self._mean("rival", criterion)

    @property
    def gap(self) -> float | None:
        """Return how far points move with the order, in points."""
        moved = self._moved()
        return None if moved is None else sum(map(abs, moved)) / len(moved)

    @property
    def bias(self) -> float | None:
        """Return how much an answer gains by being shown first, in points."""
        moved = self._moved()
        return None if moved is None else sum(moved) / len(moved)

    def _moved(self) -> list[float] | None:
        """Return points shown first minus points shown second, of candidate and rival."""
        by_order = {one.order: one for one in self.verdicts}
        if set(by_order) != {1, 2}:
            return None
        first, second = by_order[1], by_order[2]
        own = _mean(first.candidate) - _mean(second.candidate)
        return [own, _mean(second.rival) - _mean(first.rival)]

    def _mean(self, side: Literal["candidate", "rival"], criterion: str) -> float:
        points = [one.candidate if side == "candidate" else one.rival for one in self.verdicts]
        return sum(one[criterion] if criterion else _mean(one) for one in points) / len(points)

    def detail(self, name: str) -> str:
        """Return the points and explanations in words."""
        told = []
        for one in self.verdicts:
            order = ", swapped" if one.order == 2 else ""
            against = f" against {_mean(one.rival):g}" if one.rival else ""
            points = f"{_mean(one.candidate):g}{against}" if one.candidate else one.state
            told.append(f"{name}{order}: {points}: {(one.explanation or one.problem)[:_EXPLANATION_CHARACTERS]}")
        return "\n".join(told)


def _mean(points: Mapping[str, float]) -> float:
    return sum(points.values()) / len(points)


def _alpha(ratings: Array) -> float | None:
    """Return Krippendorff's alpha of ratings (judges, units) with NaN for what is missing, None where undefined."""
    import krippendorff

    rated = (~np.isnan(ratings)).sum(axis=0) >= 2
    values = ratings[:, rated]
    if rated.sum() < 2 or len(np.unique(values[~np.isnan(values)])) < 2:
        return None  # without any difference between answers agreement can't be told from a constant
    return float(krippendorff.alpha(reliability_data=values, level_of_measurement="interval"))
