"""ROUGE-1, -2 and -L (F1) over tokens that suit Russian, equal to rouge-score on the same tokens.

prediction "покупка не удалась", reference "попытка покупки не удалась"  ->  rouge1 2 x 1 x 0.75 / 1.75 = 0.857
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

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
# Tokens, and how often each token and each pair of neighbours stands in them.
_Counted = tuple[list[str], Counter[str], Counter[tuple[str, str]]]


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
        # References come back with every repeat and every model.
        self._reference = lru_cache(maxsize=10_000)(self._counted)

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
            answer = self._counted(prediction)
            each = [self._reference(reference) for reference in references]
            f1s = [_f1s(answer, reference) for reference in each]
            for at, name in enumerate(_NAMES):
                usable = [len(tokens) >= _LEAST[at] for tokens, _, _ in each]
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

    def _counted(self, text: str) -> _Counted:
        tokens = self._tokenizer.tokenize(text)
        return tokens, Counter(tokens), Counter(pairwise(tokens))


def _f1s(answer: _Counted, reference: _Counted) -> tuple[float, float, float]:
    """Return the three F1 of one answer against one reference."""
    n, m = len(answer[0]), len(reference[0])
    if not n or not m:
        return 0.0, 0.0, 0.0
    return (
        _f1(_shared(answer[1], reference[1]), n, m),
        _f1(_shared(answer[2], reference[2]), n - 1, m - 1),
        _f1(LCSseq.similarity(answer[0], reference[0]), n, m),
    )


def _shared(answer: Counter[str] | Counter[tuple[str, str]], reference: Counter[str] | Counter[tuple[str, str]]) -> int:
    """Return the size of the intersection of two multisets."""
    seen: dict[object, int] = reference  # type: ignore[assignment]
    return sum(min(count, seen[token]) for token, count in answer.items() if token in seen)


def _f1(shared: int, answer: int, reference: int) -> float:
    """Return 2PR / (P + R) in rouge-score's order of operations, so that values are equal to the last digit."""
    if not shared:
        return 0.0
    precision, recall = shared / max(answer, 1), shared / max(reference, 1)
    return 2 * precision * recall / (precision + recall)
