"""How sure a model was of each answer, and whether that answer was wrong.

    tokens "Пет" -0.1, "ров" -0.02, exact_match 1  ->  probability 0.887, wrong 0

`metrics.answer_tokens` makes the probability of a text of those of its tokens. Where an engine gives none, repeats at a
temperature above 0 do: the share of the other repeats that gave the same answer (Wang et al. 2023, "Self-consistency").
What is wrong, another metric of the job says. `metrics.selective` makes figures of both.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metrics import json_spans
from metrics.answer_tokens import KINDS, AnswerTokens
from metrics.api import Case, Measure, Score
from metrics.normalisation import Normalisation
from metrics.selective import BINS
from metrics.statistics import ratio_of_sums
from metrics.text import ExactMatch

if TYPE_CHECKING:
    from metrics.api import Array

PASS_AT = (0.01, 0.05)  # as in conf/metrics/confidence.yaml
SOURCES = ("auto", "tokens", "repeats")
# The measures that say whether an answer as a whole is right, the strictest of each metric; the first that is there.
MAIN = ("kie_strict", "exact_match", "json_match", "grounding_hit", "anls", "found", "page_overall", "cer", "wer")
_PARTS = ("kie_f1", "json_match")  # those that say it of the keys of a JSON answer
_MISSING = (
    "no log-probabilities are stored with this answer: ask again with metrics=[confidence] or sampling.logprobs=true, "
    "and reuse=same_conditions or never"
)
_CALIBRATION = 'Guo et al. 2017, "On calibration of modern neural networks"'

Key = tuple[str, int]  # sample id, repeat


@dataclass(frozen=True, slots=True)
class _Judged:
    """What other metrics said of an answer: its score, why it has none, and the scores of its keys."""

    value: float | None
    reason: str
    parts: Mapping[str, float]


class Confidence:
    """Scores each answer with the model's probability of it, and with 1 if it is wrong.

    `of` is how the probabilities of tokens become one (`KINDS`). `source` is `tokens`, `repeats` or `auto`: tokens if
    any answer has log-probabilities, else repeats. An answer is wrong if `measure` is below `level` (above it for error
    rates); without a level, if it is not perfect. `measure` is one of another metric of the job, `auto` the first of
    `MAIN`; without any other metric it is the exact match. The keys of JSON answers are judged by `kie` or
    `structured`. `temperature` is that of the answers: at 0 repeats say nothing. `pass_at` are the shares of wrong
    answers at which the report says how many may pass without a person, `bins` the number of bins of the ECE.
    """

    env = "current"
    measures = (
        Measure(
            "probability",
            "neither",
            "mean",
            0,
            1,
            "mean of the model's probability of its answer",
            _CALIBRATION,
            "confidence",
        ),
        Measure(
            "wrong",
            "lower",
            "mean",
            0,
            1,
            "share of answers that are wrong by another measure",
            "this project",
            "confidence",
        ),
    )

    def __init__(
        self,
        of: str = "product",
        source: str = "auto",
        measure: str = "auto",
        level: float | None = None,
        pass_at: Sequence[float] = PASS_AT,
        bins: int = BINS,
        temperature: float | None = None,
    ) -> None:
        for name, value, valid in (("of", of, KINDS), ("source", source, SOURCES)):
            if value not in valid:
                raise ValueError(f"{name} is {value!r}; valid: {', '.join(valid)}")
        if not isinstance(pass_at, Sequence) or isinstance(pass_at, str) or not all(map(_is_share, pass_at)):
            raise ValueError(f"pass_at is {pass_at!r}; valid: a list of shares between 0 and 1, such as [0.01, 0.05]")
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 2:
            raise ValueError(f"bins is {bins!r}; valid: a whole number from 2")
        if level is not None and (isinstance(level, bool) or not isinstance(level, int | float)):
            raise ValueError(f"level is {level!r}; valid: a number, or null for a perfect score")
        self.of, self.source, self.measure, self.level = of, source, measure, level
        self.pass_at, self.bins, self.temperature = tuple(pass_at), bins, temperature

    @property
    def version(self) -> str:
        """Definition, source and what counts as wrong: what decides the numbers."""
        level = "perfect" if self.level is None else f"{self.level:g}"
        return f"1 of={self.of} source={self.source} measure={self.measure} level={level} bins={self.bins}"

    # ------------------------------------------------------------------------------------------ what is wrong

    def needs(self, measures: Sequence[Measure]) -> tuple[str, ...]:
        """Return the measures of the job's other metrics whose scores `score_after` takes.

        Raise ValueError where `measure` is none of them.
        """
        main = self._main({measure.name: measure for measure in measures})
        parts = next((name for name in _PARTS if any(measure.name == name for measure in measures)), None)
        return tuple(dict.fromkeys(filter(None, (main, parts))))

    def _main(self, known: Mapping[str, Measure]) -> str | None:
        if self.measure == "auto":
            judging = [one.name for one in known.values() if one.group == "quality" and one.better != "neither"]
            return next((name for name in MAIN if name in known), judging[0] if judging else None)
        if self.measure not in known:
            listed = (
                ", ".join(sorted(known)) or "none: name a metric beside confidence, metrics=[exact_match,confidence]"
            )
            raise ValueError(
                f"metrics.confidence.measure={self.measure}: no other metric yields it; measures: {listed}"
            )
        return self.measure

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield the scores of cases that no other metric scores: wrong is what is no exact match."""
        exact = ExactMatch()
        return self.score_after(cases, exact.score(cases), exact.measures)

    def score_after(
        self, cases: Sequence[Case], scores: Iterable[Score], measures: Sequence[Measure]
    ) -> Iterator[Score]:
        """Yield a score for each case and measure, and for the keys of JSON answers, from what other metrics said.

        `scores` are those of the measures that `needs` names, `measures` all that the other metrics yield.
        """
        if not self.needs(measures):
            yield from self.score(cases)
            return
        known = {measure.name: measure for measure in measures}
        main = self._main(known)
        assert main is not None
        judged = self._judged(scores, main)
        by_tokens = self._uses_tokens(cases)
        probabilities = self._by_tokens(cases) if by_tokens else self._by_repeats(cases)
        for case in cases:
            verdict = judged.get((case.sample_id, case.repeat), _Judged(None, f"{main} has no score", {}))
            probability, reason, detail = probabilities[case.sample_id, case.repeat]
            spans = self._spans(case) if verdict.parts and by_tokens else {}
            if spans and probability is not None:
                probability, detail = self._of_values(case, spans)
            yield _score(case, "probability", probability, reason, detail=detail)
            wrong = None if verdict.value is None else self._is_wrong(verdict.value, known[main])
            yield _score(case, "wrong", wrong, f"{main}: {verdict.reason}", detail=main)
            if by_tokens:
                yield from self._of_keys(case, verdict.parts, spans, by_kie="kie_f1" in known)

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (values, number), shape (..., 2), into means, shape (...)."""
        return ratio_of_sums(totals)

    def _judged(self, scores: Iterable[Score], main: str) -> dict[Key, _Judged]:
        values: dict[Key, tuple[float | None, str]] = {}
        parts: dict[Key, dict[str, float]] = defaultdict(dict)
        for row in scores:
            key = (row.sample_id, row.repeat)
            if row.part and row.name in _PARTS and row.value is not None:
                parts[key][row.part] = row.value
            elif not row.part and row.name == main:
                values[key] = (row.value, row.reason)
        return {key: _Judged(*value, parts.get(key, {})) for key, value in values.items()}

    def _is_wrong(self, value: float, measure: Measure) -> float:
        if measure.better == "lower":
            return float(value > (measure.low if self.level is None else self.level) + 1e-9)
        best = 1.0 if measure.high is None else measure.high
        return float(value < (best if self.level is None else self.level) - 1e-9)

    # ------------------------------------------------------------------------------------------ how sure it was

    def _uses_tokens(self, cases: Sequence[Case]) -> bool:
        if self.source == "auto":
            return any("token_logprobs" in case.facts for case in cases)
        return self.source == "tokens"

    def _by_tokens(self, cases: Sequence[Case]) -> dict[Key, tuple[float | None, str, str]]:
        """Return probability, the reason where there is none, and where it comes from, of each answer."""
        found: dict[Key, tuple[float | None, str, str]] = {}
        for case in cases:
            tokens = _tokens(case)
            if isinstance(tokens, str):
                one: tuple[float | None, str, str] = (None, tokens, "")
            else:
                detail = f"{len(tokens.logprobs)} tokens, {self.of}"
                one = (tokens.confidence(self.of), "the answer has no tokens", detail)
            found[case.sample_id, case.repeat] = one
        return found

    def _spans(self, case: Case) -> dict[str, json_spans.Span]:
        """Return where the values of a JSON answer stand; nothing where its tokens are not known."""
        if case.prediction is None or isinstance(_tokens(case), str):
            return {}
        of_scalars = any(reference.lstrip().startswith("[") for reference in case.references)
        return json_spans.of_answer(case.prediction, of_scalars=of_scalars)

    def _of_values(self, case: Case, spans: Mapping[str, json_spans.Span]) -> tuple[float | None, str]:
        """Return the probability of all values of a JSON answer: spaces, line ends and keys say nothing of them."""
        tokens = _tokens(case)
        assert isinstance(tokens, AnswerTokens)
        places = list(spans.values())
        return tokens.confidence(self.of, places), f"{len(tokens.within(places))} tokens of its values, {self.of}"

    def _by_repeats(self, cases: Sequence[Case]) -> dict[Key, tuple[float | None, str, str]]:
        """Return the share of the other repeats of a question that gave the same answer."""
        normalise, texts = Normalisation(), defaultdict[str, Counter[str]](Counter)
        for case in cases:
            if case.prediction is not None:
                texts[case.sample_id][normalise(case.prediction)] += 1
        found: dict[Key, tuple[float | None, str, str]] = {}
        for case in cases:
            others = texts[case.sample_id].total() - 1
            if case.prediction is None:
                one: tuple[float | None, str, str] = (None, _no_answer(case), "")
            elif others < 1:
                one = (None, _MISSING, "")
            elif self.temperature is not None and self.temperature <= 0:
                one = (None, f"{_MISSING}; repeats at temperature 0 are the same answer again", "")
            else:
                same = texts[case.sample_id][normalise(case.prediction)] - 1
                one = (same / others, "", f"{same} of {others} other repeats agree")
            found[case.sample_id, case.repeat] = one
        return found

    def _of_keys(
        self, case: Case, parts: Mapping[str, float], spans: Mapping[str, json_spans.Span], *, by_kie: bool
    ) -> Iterator[Score]:
        """Yield how sure the model was of the value under each key of its JSON, and whether that is wrong."""
        tokens = _tokens(case)
        if isinstance(tokens, str):
            return
        places = json_spans.by_key(spans, numbered=not by_kie)
        for key, value in parts.items():
            probability = tokens.confidence(self.of, places[key]) if key in places else None
            yield _score(case, "probability", probability, "the answer has no value under this key", key)
            yield _score(case, "wrong", float(value < 1 - 1e-9), "", key)


def _tokens(case: Case) -> AnswerTokens | str:
    """Return the tokens of an answer, or why there are none."""
    if case.prediction is None:
        return _no_answer(case)
    tokens = case.facts.get("token_logprobs")
    if not isinstance(tokens, AnswerTokens):
        return _MISSING
    if tokens.problem:
        return f"log-probabilities: {tokens.problem}"
    if sum(tokens.lengths) != len(case.prediction):
        return f"the tokens have {sum(tokens.lengths)} characters, the answer {len(case.prediction)}"
    return tokens


def _no_answer(case: Case) -> str:
    return f"no answer: {case.facts.get('failure') or 'the generation failed'}"


def _score(case: Case, name: str, value: float | None, reason: str, part: str = "", detail: str = "") -> Score:
    if value is None or not math.isfinite(value):
        return Score(case.sample_id, case.repeat, name, None, reason=reason or "not measured", part=part)
    return Score(case.sample_id, case.repeat, name, value, (value, 1.0), part=part, detail=detail)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1
