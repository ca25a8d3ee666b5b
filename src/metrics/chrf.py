"""chrF: F-score of character n-grams by sacrebleu, on additive counts. For inflected languages like Russian.

Statistics of a sample: for each order 1 to 6 (and word orders, for chrF++) n-grams of the answer, of the reference,
and shared; of several references those of the best one. sacrebleu counts them, in functions that its `sentence_score`
calls and whose names begin with an underscore: tests/metrics/test_chrf.py says what we expect of them. Sums of counts
are combined here, for many resamples at once, where sacrebleu takes them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
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
        self.word_order, self.beta, self.lowercase = word_order, beta, lowercase
        self.normalisation = None if normalisation is None else Normalisation().with_options(normalisation)
        # References come back with every repeat and every model.
        self._reference = lru_cache(maxsize=10_000)(self._grams)

    @cached_property
    def _sacrebleu(self) -> Any:
        import sacrebleu  # slow, and not needed to list or check metrics

        return sacrebleu.CHRF(_CHARACTER_ORDERS, self.word_order, self.beta, self.lowercase)

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
            stats, value = self._best(prediction, references)
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

    def _best(self, prediction: str, references: Sequence[str]) -> tuple[list[int], float]:
        """Return the counts against the best reference; of equals those with the fewest n-grams, not the first."""
        chrf = self._sacrebleu
        answer = chrf._preprocess_segment(prediction)
        each = [
            # The most frequent case where documents are read, and no n-gram is needed.
            self._of_equal(answer)
            if reference == prediction
            else chrf._compute_segment_statistics(answer, {"ref_ngrams": [self._reference(reference)]})
            for reference in references
        ]
        scored = [(chrf._compute_f_score(counts), counts) for counts in each]
        value, stats = max(scored, key=lambda pair: (pair[0], [-count for count in pair[1]]))
        return stats, value

    def _of_equal(self, text: str) -> list[int]:
        """Return the counts of a text against itself: all of its n-grams, three times for each order."""
        length = len("".join(text.split()))
        words = len(self._sacrebleu._remove_punctuation(text)) if self.word_order else 0
        numbers = [max(0, length - order) for order in range(_CHARACTER_ORDERS)]
        numbers += [max(0, words - order) for order in range(self.word_order)]
        return [number for number in numbers for _ in range(3)]

    def _grams(self, reference: str) -> Any:
        """Return what sacrebleu keeps of a reference: a Counter of n-grams for each order."""
        chrf = self._sacrebleu
        return chrf._extract_reference_info([chrf._preprocess_segment(reference)])["ref_ngrams"][0]
