"""chrF: F-score of character n-grams, equal to sacrebleu, on additive counts. For inflected languages like Russian.

Statistics of a sample: for each order 1 to 6 (and word orders, for chrF++) n-grams of the answer, of the reference,
and shared; of several references those of the best one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.api import Case, Measure, Score
from metrics.normalisation import Normalisation, visible
from metrics.statistics import ratio_of_sums
from metrics.text import prepare, unscored

if TYPE_CHECKING:
    from metrics.api import Array

_PAPER = 'Popović 2015, "chrF"; Popović 2017, "chrF++"; Post 2018 (sacrebleu)'
_CHARACTER_ORDERS = 6
# sacrebleu separates one of these from the end or the beginning of a word (chrF++).
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
# For each order: the different n-grams, how often those stand there that do more than once, and the number of all.
_Grams = list[tuple[set[Any], dict[Any, int], int]]


class ChrF:
    """Corpus chrF and the mean of sentence chrF, 0 to 100. `word_order: 2` makes it chrF++.

    Texts are compared as they are, without whitespace and what nobody sees, unless a `normalisation` is named.
    """

    env = "current"
    measures = (
        Measure("chrf", "higher", "corpus", 0, 100, "F2 of n-gram precision and recall from summed counts", _PAPER),
        Measure("chrf_mean", "higher", "mean", 0, 100, "mean of sentence chrF", _PAPER),
    )

    def __init__(
        self,
        word_order: int = 0,
        beta: float = 2,
        lowercase: bool = False,
        normalisation: Normalisation | Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(word_order, bool) or word_order not in (0, 1, 2):
            raise ValueError(f"word_order is {word_order!r}; valid: 0 (chrF), 1, 2 (chrF++)")
        if isinstance(beta, bool) or not isinstance(beta, int | float) or beta <= 0:
            raise ValueError(f"beta is {beta!r}; valid: above 0")
        if not isinstance(lowercase, bool):
            raise TypeError(f"lowercase is {lowercase!r}; valid: true, false")
        if isinstance(normalisation, Mapping):
            normalisation = Normalisation().changed(normalisation)
        if normalisation is not None and not isinstance(normalisation, Normalisation):
            raise TypeError(f"normalisation is {normalisation!r}; give its options by name, such as {{yo: true}}")
        self.word_order, self.beta, self.lowercase = word_order, beta, lowercase
        self.normalisation = normalisation
        self._reference = lru_cache(maxsize=10_000)(self._grams)

    @property
    def version(self) -> str:
        """Definition and settings: what decides the numbers."""
        case = "lc" if self.lowercase else "mixed"
        return f"2 case:{case}|nc:6|nw:{self.word_order}|beta:{self.beta:g} {self.normalisation or 'as is'}"

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            reason, prediction, references = prepare(case, self.normalisation or visible)
            if reason:
                yield from unscored(case, self.measures, reason)
                continue
            if references == [prediction]:  # the most frequent case where documents are read, and no n-gram is needed
                stats = self._of_equal(prediction)
                value = self._value(stats)
            else:
                answer = self._grams(prediction)
                stats, value = self._best([_counts(answer, self._reference(reference)) for reference in references])
            yield Score(case.sample_id, case.repeat, "chrf", value, tuple(map(float, stats)))
            yield Score(case.sample_id, case.repeat, "chrf_mean", value, (value, 1.0))

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed counts, shape (..., 3 x orders), into corpus chrF, or (..., 2) into the mean; shape (...)."""
        if name == "chrf_mean":
            return ratio_of_sums(totals)
        counts = totals.reshape(*totals.shape[:-1], -1, 3)
        answer, reference, shared = (counts[..., column] for column in range(3))
        usable = (answer > 0) & (reference > 0)
        orders = np.maximum(usable.sum(axis=-1), 1)
        precision = np.divide(shared, answer, out=np.zeros_like(shared), where=usable).sum(axis=-1) / orders
        recall = np.divide(shared, reference, out=np.zeros_like(shared), where=usable).sum(axis=-1) / orders
        factor = self.beta**2
        both = factor * precision + recall
        score = 100 * (1 + factor) * precision * recall / np.where(both > 0, both, 1)
        return np.where(reference.sum(axis=-1) == 0, np.nan, score)

    def _best(self, each: list[list[int]]) -> tuple[list[int], float]:
        """Return the counts against the best reference; of equals those with the fewest n-grams, not the first."""
        if len(each) == 1:
            return each[0], self._value(each[0])
        value, stats = max(((self._value(one), one) for one in each), key=lambda pair: (pair[0], [-n for n in pair[1]]))
        return stats, value

    def _value(self, stats: list[int]) -> float:
        precision = recall = 0.0
        orders = 0
        for start in range(0, len(stats), 3):
            answer, reference, shared = stats[start : start + 3]
            if answer and reference:
                precision, recall, orders = precision + shared / answer, recall + shared / reference, orders + 1
        if not precision:
            return 0.0
        precision, recall, factor = precision / orders, recall / orders, self.beta**2
        return 100 * (1 + factor) * precision * recall / (factor * precision + recall)

    def _of_equal(self, text: str) -> list[int]:
        """Return the counts of a text against itself: all of its n-grams, three times for each order."""
        text = text.lower() if self.lowercase else text
        length, words = len("".join(text.split())), len(_words(text)) if self.word_order else 0
        numbers = [max(0, length - order) for order in range(_CHARACTER_ORDERS)]
        numbers += [max(0, words - order) for order in range(self.word_order)]
        return [number for number in numbers for _ in range(3)]

    def _grams(self, text: str) -> _Grams:
        """Return the n-grams of each order with their number."""
        text = text.lower() if self.lowercase else text
        squeezed = "".join(text.split())
        grams: _Grams = []
        for order in range(1, _CHARACTER_ORDERS + 1):
            number = len(squeezed) - order + 1
            grams.append(_counted([squeezed[at : at + order] for at in range(number)]))
        if self.word_order:
            words = _words(text)
            for order in range(1, self.word_order + 1):
                grams.append(_counted(list(zip(*(words[at:] for at in range(order)), strict=False))))
        return grams


def _counted(grams: list[Any]) -> tuple[set[Any], dict[Any, int], int]:
    """Count the n-grams of one order."""
    different = set(grams)
    if len(different) == len(grams):
        return different, {}, len(grams)
    counts: dict[Any, int] = {}
    for gram in grams:  # for texts of a line this is faster than making a Counter
        counts[gram] = counts.get(gram, 0) + 1
    return different, {gram: count for gram, count in counts.items() if count > 1}, len(grams)


def _counts(answer: _Grams, reference: _Grams) -> list[int]:
    """Return (n-grams of the answer, of the reference, shared) for each order, one after the other."""
    counts: list[int] = []
    for (ours, ours_repeated, number), (theirs, theirs_repeated, of) in zip(answer, reference, strict=True):
        # Intersections run in C; only what both repeat needs a look one by one.
        shared = len(ours & theirs)
        if ours_repeated and theirs_repeated:
            for gram in ours_repeated.keys() & theirs_repeated.keys():
                shared += min(ours_repeated[gram], theirs_repeated[gram]) - 1
        # As sacrebleu: an order that the reference is too short for doesn't count.
        counts += (number if of else 0, of, shared)
    return counts


def _words(text: str) -> list[str]:
    words: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            words += (word[:-1], word[-1])
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            words += (word[0], word[1:])
        else:
            words.append(word)
    return words
