"""Compares an answer with references: exact match, CER, WER and ANLS, each with a stated normalisation.

    prediction "Ивонов  Иван", reference "Иванов Иван"  ->  cer 0.0909, stats (1 edit, 11 characters)

In all of them a case is unscored, with the reason, if its generation failed or it has no reference or only empty ones.
An empty answer is an answer. With several references the one with the best score counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein

from metrics.anls_star import checked, kept
from metrics.api import Case, Measure, Score
from metrics.fields import FieldKinds
from metrics.normalisation import Normalisation
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array

NO_WORDS = "no words in the reference"
_DETAIL_CHARACTERS = 200
_LEVENSHTEIN = "Levenshtein 1966; Morris, Maier & Green 2004 (WER)"
_EXACT_MATCH_PAPER = 'Rajpurkar et al. 2016, "SQuAD" (without its English normalisation)'
_ANLS_PAPER = 'Biten et al. 2019, "Scene Text Visual Question Answering"'


def prepare(case: Case, normalise: Callable[[str], str]) -> tuple[str, str, list[str]]:
    """Return (reason, prediction, references): normalised texts, or a reason why the case can't be scored.

    References that are empty after normalisation are dropped, since their error rate would divide by 0.
    """
    if case.prediction is None:
        return f"no answer: {case.facts.get('failure') or 'the generation failed'}", "", []
    if not case.references:
        return "no reference", "", []
    references = [text for text in map(normalise, case.references) if text and not text.isspace()]
    if not references:
        return "empty reference", "", []
    return "", normalise(case.prediction), references


def unscored(case: Case, measures: Sequence[Measure], reason: str) -> Iterator[Score]:
    """Yield one unscored score for each measure."""
    for measure in measures:
        yield Score(case.sample_id, case.repeat, measure.name, None, reason=reason)


class TextMetric(ABC):
    """A metric that compares normalised texts; `normalisation` changes options of the metric's default.

    `fields` names the fields that are dates, money, amounts, numbers or names (`metrics.fields`). Their values are
    parsed before the comparison, so that different spellings of the same value are equal.
    """

    env = "current"
    measures: tuple[Measure, ...]
    default = Normalisation()

    def __init__(
        self,
        normalisation: Normalisation | Mapping[str, Any] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self.fields = FieldKinds.of(fields)
        self.normalisation = self.default.with_options(normalisation)

    @property
    def version(self) -> str:
        """Definition, normalisation and kinds of fields: what decides the numbers."""
        return f"2 {self.normalisation} {self.fields}".rstrip()

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            reason, prediction, references = prepare(case, self._normalised(case))
            if reason:
                yield from unscored(case, self.measures, reason)
            else:
                yield from self._scores(case, prediction, references)

    def _normalised(self, case: Case) -> Callable[[str], str]:
        """Return the function that normalises the texts of a case."""
        read = self.fields.reader(case.doc_class, case.field)
        return self.normalisation if read is None else lambda text: self.normalisation(read(text))

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (numerator, denominator), shape (..., 2), into ratios, shape (...)."""
        return ratio_of_sums(totals)

    @abstractmethod
    def _scores(self, case: Case, prediction: str, references: list[str]) -> Iterator[Score]:
        """Yield the scores of one case; texts are normalised and there is a reference."""


class ExactMatch(TextMetric):
    """1 if the answer equals one of the references, else 0."""

    measures = (
        Measure(
            "exact_match",
            "higher",
            "mean",
            0,
            1,
            "share of answers that equal one of their references",
            _EXACT_MATCH_PAPER,
        ),
    )

    def _scores(self, case: Case, prediction: str, references: list[str]) -> Iterator[Score]:
        value = float(prediction in references)
        detail = _compared(case, prediction, prediction if value else references[0])
        yield Score(case.sample_id, case.repeat, "exact_match", value, (value, 1.0), detail=detail)


class _ErrorRate(TextMetric):
    """Edits per unit of the reference. `measures` are the corpus figure and the mean of the samples, in this order."""

    unit: str

    @staticmethod
    @abstractmethod
    def _units(text: str) -> Sequence[str]:
        """Split a text into the units that are edited."""

    def _scores(self, case: Case, prediction: str, references: list[str]) -> Iterator[Score]:
        predicted = self._units(prediction)
        # The lowest error rate counts; ties go to the shorter reference, so the order of references does not matter.
        rate, edits, length, reference = min(
            (edits / len(units), edits, len(units), reference)
            for reference, units in ((reference, self._units(reference)) for reference in references)
            for edits in (Levenshtein.distance(units, predicted),)
        )
        detail = f"{edits} edits, {length} {self.unit}"
        if compared := _compared(case, prediction, reference):
            detail = f"{detail}; {compared}"
        corpus, mean = self.measures
        yield Score(case.sample_id, case.repeat, corpus.name, rate, (edits, length), detail=detail)
        yield Score(case.sample_id, case.repeat, mean.name, rate, (rate, 1.0), detail=detail)


class CharacterErrorRate(_ErrorRate):
    """Character error rate; a character is a Unicode code point after normalisation."""

    unit = "characters"
    measures = (
        Measure(
            "cer",
            "lower",
            "corpus",
            0,
            None,
            "sum of character edits / sum of reference characters",
            _LEVENSHTEIN,
            worst=1,
        ),
        Measure(
            "cer_mean",
            "lower",
            "mean",
            0,
            None,
            "mean of (character edits / reference characters)",
            _LEVENSHTEIN,
            worst=1,
        ),
    )

    @staticmethod
    def _units(text: str) -> Sequence[str]:
        return text


class WordErrorRate(_ErrorRate):
    """Word error rate; words are what whitespace separates, punctuation belongs to its word."""

    unit = "words"
    measures = (
        Measure("wer", "lower", "corpus", 0, None, "sum of word edits / sum of reference words", _LEVENSHTEIN, worst=1),
        Measure("wer_mean", "lower", "mean", 0, None, "mean of (word edits / reference words)", _LEVENSHTEIN, worst=1),
    )

    @staticmethod
    def _units(text: str) -> Sequence[str]:
        return text.split()


class ANLS(TextMetric):
    """Average normalised Levenshtein similarity: 1 - NL, or 0 if NL reaches `threshold`. NL is edits / longer length.

    `at_threshold=docvqa` keeps an NL of exactly the threshold, as DocVQA's script does (`metrics.anls_star`). Letters
    are lower-cased, as in the evaluation of ST-VQA and DocVQA. The most similar reference counts.
    """

    measures = (
        Measure(
            "anls",
            "higher",
            "mean",
            0,
            1,
            "mean of s = 1 - NL if NL < threshold (0.5) else 0; NL = character edits / length of the longer text",
            _ANLS_PAPER,
        ),
    )
    default = Normalisation(case="lower")

    def __init__(
        self,
        normalisation: Normalisation | Mapping[str, Any] | None = None,
        threshold: float = 0.5,
        fields: Mapping[str, str] | None = None,
        at_threshold: str = "paper",
    ) -> None:
        super().__init__(normalisation, fields)
        self.at_threshold = checked(at_threshold)
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
            raise ValueError(f"threshold is {threshold!r}; valid: above 0, up to 1")
        self.threshold = threshold

    @property
    def version(self) -> str:
        """Definition, threshold and normalisation: what decides the numbers."""
        at_threshold = " at_threshold=docvqa" if self.at_threshold == "docvqa" else ""
        return f"{super().version} threshold={self.threshold:g}{at_threshold}"

    def _scores(self, case: Case, prediction: str, references: list[str]) -> Iterator[Score]:
        distance, reference = min(
            (Levenshtein.distance(reference, prediction) / max(len(reference), len(prediction)), reference)
            for reference in references
        )
        value = kept(distance, self.threshold, self.at_threshold)
        detail = _compared(case, prediction, reference)
        yield Score(case.sample_id, case.repeat, "anls", value, (value, 1.0), detail=detail)


def _compared(case: Case, prediction: str, reference: str) -> str:
    """Return which texts were compared, unless they are the raw answer and its only reference (then empty)."""
    if prediction == case.prediction and len(case.references) == 1 and reference == case.references[0]:
        return ""
    return f"compared {_cut(prediction)!r} with {_cut(reference)!r}"


def _cut(text: str) -> str:
    """Shorten a long text for people."""
    return text if len(text) <= _DETAIL_CHARACTERS else f"{text[:_DETAIL_CHARACTERS]}…"
