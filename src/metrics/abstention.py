"""Tests whether a model says so when the document does not answer the question, or makes up an answer.

answerable False: "В документе не указано" -> abstention 1, hallucination 0;  "Иванов" -> abstention 0, hallucination 1
answerable True:  "В документе не указано" -> false_abstention 1;             "Иванов" -> false_abstention 0
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from metrics.api import Case, Measure, Score
from metrics.language import no_answer
from metrics.phrases import ABSTENTIONS, REFUSALS, compiled
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array

_PAPER = 'Rajpurkar, Jia & Liang 2018, "Know What You Don\'t Know" (SQuAD 2.0)'
# These measures have a group of their own beside `quality`: each is defined for a part of the questions only, and the
# other questions are unscored.
_MEASURES: tuple[tuple[str, Literal["higher", "lower"], str, str], ...] = (
    ("abstention", "higher", "unanswerable", "left unanswered"),
    ("hallucination", "lower", "unanswerable", "answered all the same"),
    ("false_abstention", "lower", "answerable", "left unanswered"),
)


class Abstention:
    """Whether unanswerable questions are left unanswered, and answerable ones not. `facts["answerable"]` says which.

    An answer abstains if it is empty, says that the document does not state what was asked, or refuses. `phrases` are
    additional regular expressions (case-insensitive). An answer longer than `max_characters` never abstains, even if
    it says somewhere that a detail is missing. References are optional: an answer that equals a reference of an
    answerable question ("нет") does not abstain.
    """

    env = "current"
    measures = tuple(
        Measure(name, better, "mean", 0, 1, f"share of {asked} questions {how}", _PAPER, "answerability")
        for name, better, asked, how in _MEASURES
    )

    def __init__(self, phrases: Sequence[str] = (), max_characters: int = 200) -> None:
        if isinstance(max_characters, bool) or not isinstance(max_characters, int) or max_characters < 1:
            raise ValueError(f"max_characters is {max_characters!r}; valid: a whole number from 1")
        self.max_characters = max_characters
        self._phrases = compiled("phrases", phrases, (*ABSTENTIONS, *REFUSALS))

    @property
    def version(self) -> str:
        """Definition, phrases and length: what decides the numbers."""
        return f"3 characters={self.max_characters} phrases={self._phrases.digest}"

    def abstains(self, text: str) -> str:
        """Return the phrase that makes an answer an abstention; an empty text if it is none."""
        if not text.strip():
            return "empty"
        return self._phrases.find(text) if len(text) <= self.max_characters else ""

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            answerable = case.facts.get("answerable")
            reason = no_answer(case) if case.prediction is None else ""
            if not reason and not (case.prediction or "").strip() and case.facts.get("finish_reason") == "length":
                reason = "cut off before the answer began"  # and no choice not to answer
            if not reason and not isinstance(answerable, bool):
                reason = "not marked as answerable or not"
            phrase = "" if reason or (answerable and _is_right(case)) else self.abstains(case.prediction or "")
            abstained = float(bool(phrase))
            for name, asked, value in (
                ("abstention", False, abstained),
                ("hallucination", False, 1 - abstained),
                ("false_abstention", True, abstained),
            ):
                missing = reason or (
                    "" if answerable is asked else f"the question is {'' if answerable else 'not '}answerable"
                )
                if missing:
                    yield Score(case.sample_id, case.repeat, name, None, reason=missing)
                else:
                    yield Score(case.sample_id, case.repeat, name, value, (value, 1.0), detail=phrase)

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (abstained, answers), shape (..., 2), into shares, shape (...)."""
        return ratio_of_sums(totals)


def _is_right(case: Case) -> bool:
    """Tell whether an answer equals a reference: "нет" is the right answer to some yes-or-no questions."""
    answer = (case.prediction or "").strip(" .").casefold()
    return any(answer == reference.strip(" .").casefold() for reference in case.references)
