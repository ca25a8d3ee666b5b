"""ROUGE-1, -2 and -L (F1) by the package rouge-score, over tokens that suit Russian.

prediction "покупка не удалась", reference "попытка покупки не удалась"  ->  rouge1 2 x 1 x 0.75 / 1.75 = 0.857

rouge-score's scorer counts tokens and pairs of neighbours. The longest common subsequence comes from rapidfuzz:
rouge-score 0.1.2 fills a table of answer x reference cells in Python, which takes 14 times as long as the whole metric
here for texts of 250 words, and memory for each cell. The value is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import LCSseq

from metrics.api import Case, Measure, Score
from metrics.normalisation import visible
from metrics.statistics import ratio_of_sums
from metrics.text import NO_WORDS, prepare, unscored
from metrics.tokens import Tokenizer

if TYPE_CHECKING:
    from metrics.api import Array

_PAPER = 'Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"'
_NAMES = ("rouge1", "rouge2", "rougeL")
_LEAST = (1, 2, 1)  # tokens that a reference must have
_TOO_SHORT = (NO_WORDS, "no two words in the reference", NO_WORDS)
_FORMULAS = ("tokens in common", "pairs of neighbours in common", "tokens of the longest common subsequence")


class Rouge:
    """F1 of what an answer and its reference share. Of several references the best counts, for each measure by itself.

    A reference without a token (a sign, as "—") can't be scored, nor one of a single token by rouge2: it is left out,
    and where no other is left the case is unscored.

    `tokenizer`: words, wordpiece, google; `stemmer`: russian, none (for words); `vocabulary`: path or name (wordpiece).
    """

    env = "current"
    measures = tuple(
        Measure(
            name,
            "higher",
            "mean",
            0,
            1,
            f"mean of F1 = 2PR / (P + R); P, R = {counted} / those of answer, reference",
            _PAPER,
        )
        for name, counted in zip(_NAMES, _FORMULAS, strict=True)
    )

    def __init__(self, tokenizer: str = "words", stemmer: str = "russian", vocabulary: str | None = None) -> None:
        self._tokenizer = Tokenizer(tokenizer, stemmer, vocabulary)
        # References come back with every repeat and every model, and each text is asked for twice.
        self._tokens = lru_cache(maxsize=10_000)(self._tokenizer.tokenize)

    @cached_property
    def _scorer(self) -> Any:
        from rouge_score.rouge_scorer import RougeScorer  # imports nltk, 2 s that listing metrics doesn't need

        return RougeScorer(["rouge1", "rouge2"], tokenizer=SimpleNamespace(tokenize=self._tokens))

    @property
    def version(self) -> str:
        """Definition and tokenizer: what decides the numbers."""
        return f"2 F1 {self._tokenizer.version}"

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure; a tokenizer that can't read the references raises ValueError."""
        for case in cases:
            reason, prediction, references = prepare(case, visible)
            if reason:
                yield from unscored(case, self.measures, reason)
                continue
            self._tokenizer.refuse(references, case.sample_id)
            f1s = [self._f1s(prediction, reference) for reference in references]
            for at, name in enumerate(_NAMES):
                usable = [len(self._tokens(reference)) >= _LEAST[at] for reference in references]
                values = [f1[at] for f1, use in zip(f1s, usable, strict=True) if use]
                left_out = [reference.strip() for reference, use in zip(references, usable, strict=True) if not use]
                # An answer that equals a reference which can't be counted is not compared with the others.
                if values and prediction.strip() not in left_out:
                    yield Score(case.sample_id, case.repeat, name, max(values), (max(values), 1.0))
                else:
                    yield Score(case.sample_id, case.repeat, name, None, reason=_TOO_SHORT[at])

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (F1, answers), shape (..., 2), into means, shape (...)."""
        return ratio_of_sums(totals)

    def _f1s(self, prediction: str, reference: str) -> tuple[float, float, float]:
        """Return the three F1 of one answer against one reference; 0 where either has no token."""
        from rouge_score.scoring import fmeasure

        counted = self._scorer.score(reference, prediction)
        answer, wanted = self._tokens(prediction), self._tokens(reference)
        common = LCSseq.similarity(answer, wanted)
        longest = fmeasure(common / len(answer), common / len(wanted)) if common else 0.0
        return counted["rouge1"].fmeasure, counted["rouge2"].fmeasure, longest
