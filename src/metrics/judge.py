"""Turns a judge's verdicts into scores: the ratio candidate / reference answer, or points against a reference.

    order 1: candidate 8, rival 9; order 2 (rival shown first): candidate 7, rival 9  ->  ratio 15 / 18 = 0.833,
    swap_gap (|8 - 7| + |9 - 9|) / 2 = 0.5 points

The runner asks the judge with the prompts of `metrics.rubric` and passes the verdicts in `Case.facts["verdicts"]`.
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

# failed: the request failed after its retries. not_asked: the budget was spent.
State = Literal["valid", "invalid", "failed", "not_asked"]
Orders = Literal["both", "alternate"]
_SOURCE = 'Zheng et al. 2023, "Judging LLM-as-a-Judge"'
_EXPLANATION_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """One judge's points by criterion and its explanation for one answer in one order, or the problem instead.

    `order` is 1 if the candidate's answer was shown first, 2 if the rival's was.
    """

    judge: str
    order: int
    state: State
    candidate: Mapping[str, float] = field(default_factory=dict)
    rival: Mapping[str, float] = field(default_factory=dict)
    explanation: str = ""
    problem: str = ""


def cannot_judge(kind: str, case: Case) -> str:
    """Return why a judge cannot be asked about a case; an empty text if it can."""
    if case.prediction is None:
        return f"no answer: {case.facts.get('failure') or 'the generation failed'}"
    if kind == "pairwise" and not (case.rival or "").strip():
        return "no reference answer to compare with"
    if kind == "absolute" and not any(reference.strip() for reference in case.references):
        return "empty reference" if case.references else "no reference"
    return ""


class Judge:
    """Scores from the verdicts of one or several judges, and how well the judges agree (`agreement`).

    `criteria` are the names of the rubric's criteria. `judges` maps each judge's name to its model. `rubric` and
    `rival` are digests of the prompt and of the reference answers; they are part of the version, so scores of
    different prompts are not compared. `orders="both"` shows each pair in both orders, `"alternate"` in one order,
    which alternates between samples.
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
        """The judges, the rubric and the reference answers: everything that decides the numbers."""
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
        verdicts: Sequence[JudgeVerdict] = case.facts.get("verdicts") or ()
        opinions = {
            name: _Opinion(self, [verdict for verdict in verdicts if verdict.judge == name]) for name in self.judges
        }
        heard = [opinion for opinion in opinions.values() if not opinion.reason]
        reason = cannot_judge(self.kind, case)
        reason = reason or "; ".join(f"{name}: {opinion.reason}" for name, opinion in opinions.items())
        detail = "\n".join(opinion.detail(name) for name, opinion in opinions.items())[
            : _EXPLANATION_CHARACTERS * len(opinions)
        ]

        def score(name: str, values: Sequence[float | None], why: str = reason, detail: str = "") -> Score:
            return _mean_score(case, name, values, why, detail)

        yield score(self.main, [opinion.value() for opinion in heard], detail=detail)
        yield self._worst(case, opinions, reason)
        for measure in self.measures[2:]:
            name = measure.name
            if name in ("invalid", "failed"):
                asked = [verdict for verdict in verdicts if verdict.state != "not_asked"]
                share = [sum(verdict.state == name for verdict in asked) / len(asked)] if asked else []
                yield score(name, share)
            elif name == "swap_gap":
                yield score(name, [opinion.gap for opinion in heard])
            elif name == "position_bias":
                yield score(name, [opinion.bias for opinion in heard])
            elif name.startswith(f"{self.main}.by."):
                opinion = opinions[name.removeprefix(f"{self.main}.by.")]
                yield score(name, [] if opinion.reason else [opinion.value()], opinion.reason)
            else:
                yield score(name, [opinion.value(name.removeprefix(f"{self.main}.")) for opinion in heard])

    def _worst(self, case: Case, opinions: Mapping[str, _Opinion], why: str) -> Score:
        """Return the score that gives answers without a valid verdict the lowest points; unasked ones are unscored."""
        name = f"{self.main}_worst"
        lowest = self.low if self.kind == "absolute" else self.low / self.high
        if case.prediction is None:
            reason = cannot_judge(self.kind, replace(case, prediction=""))
            return _mean_score(case, name, [] if reason else [lowest], reason)
        values = [
            lowest if opinion.reason else opinion.value()
            for opinion in opinions.values()
            if opinion.verdicts and not opinion.not_asked and not opinion.undefined
        ]
        return _mean_score(case, name, values, why)

    def agreement(self, cases: Sequence[Case]) -> dict[str, float]:
        """Return Krippendorff's alpha of several judges (interval scale), overall and by criterion, as far as defined.

        Units are the answers that at least two judges scored: the points against a reference, or the points of the
        candidate minus those of the rival. 1 is perfect agreement, 0 is agreement by chance. Krippendorff 2004,
        "Content Analysis".
        """
        if len(self.judges) < 2:
            return {}
        rows: dict[str, list[list[float]]] = {
            name: []
            for name in ("alpha", *(f"alpha.{criterion}" for criterion in self.criteria if len(self.criteria) > 1))
        }
        for case in cases:
            verdicts = case.facts.get("verdicts") or ()
            opinions = [
                _Opinion(self, [verdict for verdict in verdicts if verdict.judge == name]) for name in self.judges
            ]
            for name, units in rows.items():
                units.append([opinion.advantage(name.partition(".")[2]) for opinion in opinions])
        alphas = {name: _alpha(np.array(units, dtype=np.float64).T) for name, units in rows.items() if units}
        return {name: value for name, value in alphas.items() if value is not None}


def _mean_score(case: Case, name: str, values: Sequence[float | None], why: str, detail: str = "") -> Score:
    """Return the mean of the known values as a score, or an unscored one with the reason."""
    known = [value for value in values if value is not None]
    if not known:
        return Score(case.sample_id, case.repeat, name, None, reason=why or "not judged", detail=detail)
    value = sum(known) / len(known)
    return Score(case.sample_id, case.repeat, name, value, (value, 1.0), detail=detail)


class _Opinion:
    """The verdicts of one judge on one case, in all orders; `reason` says why they are incomplete."""

    def __init__(self, judge: Judge, verdicts: Sequence[JudgeVerdict]) -> None:
        self.judge, self.verdicts = judge, verdicts
        bad = [verdict for verdict in verdicts if verdict.state != "valid"]
        self.not_asked = any(verdict.state == "not_asked" for verdict in bad)
        self.reason = f"{bad[0].state.replace('_', ' ')}: {bad[0].problem}" if bad else ""
        self.undefined = False
        if not verdicts:
            self.reason = "not judged"
        elif not bad and judge.kind == "pairwise" and self._mean("rival", "") == 0:
            self.undefined, self.reason = True, "the reference answer got 0 points: no ratio"

    def value(self, criterion: str = "") -> float | None:
        """Return the ratio or the points, overall or for one criterion; None if the rival got 0 points."""
        own = self._mean("candidate", criterion)
        if self.judge.kind == "absolute":
            return own
        other = self._mean("rival", criterion)
        return own / other if other else None

    def advantage(self, criterion: str) -> float:
        """Return the points (for a pair: minus the rival's points); NaN if a verdict is missing or invalid."""
        if not self.verdicts or any(verdict.state != "valid" for verdict in self.verdicts):
            return float("nan")
        own = self._mean("candidate", criterion)
        return own if self.judge.kind == "absolute" else own - self._mean("rival", criterion)

    @property
    def gap(self) -> float | None:
        """Return the mean absolute change of the points when the order is swapped."""
        moved = self._moved()
        return None if moved is None else sum(map(abs, moved)) / len(moved)

    @property
    def bias(self) -> float | None:
        """Return how many points an answer gains on average by being shown first."""
        moved = self._moved()
        return None if moved is None else sum(moved) / len(moved)

    def _moved(self) -> list[float] | None:
        """Return (points when shown first - points when shown second) for candidate and rival; None without both."""
        by_order = {verdict.order: verdict for verdict in self.verdicts}
        if set(by_order) != {1, 2}:
            return None
        first, second = by_order[1], by_order[2]
        own = _mean(first.candidate) - _mean(second.candidate)
        return [own, _mean(second.rival) - _mean(first.rival)]

    def _mean(self, side: Literal["candidate", "rival"], criterion: str) -> float:
        points = [verdict.candidate if side == "candidate" else verdict.rival for verdict in self.verdicts]
        return sum(by_criterion[criterion] if criterion else _mean(by_criterion) for by_criterion in points) / len(
            points
        )

    def detail(self, name: str) -> str:
        """Return the points and explanations as text."""
        lines = []
        for verdict in self.verdicts:
            order = ", swapped" if verdict.order == 2 else ""
            against = f" against {_mean(verdict.rival):g}" if verdict.rival else ""
            points = f"{_mean(verdict.candidate):g}{against}" if verdict.candidate else verdict.state
            lines.append(
                f"{name}{order}: {points}: {(verdict.explanation or verdict.problem)[:_EXPLANATION_CHARACTERS]}"
            )
        return "\n".join(lines)


def _mean(points: Mapping[str, float]) -> float:
    return sum(points.values()) / len(points)


def _alpha(ratings: Array) -> float | None:
    """Return Krippendorff's alpha of ratings (judges, units), where NaN is a missing rating; None if undefined."""
    import krippendorff

    rated = (~np.isnan(ratings)).sum(axis=0) >= 2
    values = ratings[:, rated]
    if rated.sum() < 2 or len(np.unique(values[~np.isnan(values)])) < 2:
        return None  # if all ratings are equal, agreement can't be distinguished from constant ratings
    return float(krippendorff.alpha(reliability_data=values, level_of_measurement="interval"))
