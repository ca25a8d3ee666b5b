"""BLEU by sacrebleu, on additive n-gram counts, so that corpus BLEU and its bootstrap are sums.

The scale is sacrebleu's: 0 to 100. Statistics of a sample: correct n-grams (orders 1 to 4), all n-grams of the answer
(orders 1 to 4), length of the answer, length of the closest reference (in tokens).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.api import Case, Measure, Score
from metrics.normalisation import Normalisation, visible
from metrics.statistics import ratio_of_sums
from metrics.text import NO_WORDS, prepare, unscored

if TYPE_CHECKING:
    from metrics.api import Array

ORDER = 4
# The tokenizers of sacrebleu that need neither a download nor another package.
TOKENIZERS = ("13a", "intl", "char", "zh", "none")
_PAPER = 'Papineni et al. 2002, "BLEU"; Post 2018, "A Call for Clarity in Reporting BLEU Scores"'


class BLEU:
    """Corpus BLEU and the mean of sentence BLEU, equal to sacrebleu.

    By default only invisible characters are removed before sacrebleu tokenizes the texts; `normalisation` replaces
    that. A reference without tokens is ignored. The value of a sample is sentence BLEU with effective order: n-gram
    orders for which an answer is too short do not count.
    """

    env = "current"
    measures = (
        Measure(
            "bleu", "higher", "corpus", 0, 100, "corpus BLEU from summed n-gram counts, exponential smoothing", _PAPER
        ),
        Measure("bleu_mean", "higher", "mean", 0, 100, "mean of sentence BLEU with effective order", _PAPER),
    )

    def __init__(
        self,
        tokenize: str = "13a",
        lowercase: bool = False,
        normalisation: Normalisation | Mapping[str, Any] | None = None,
    ) -> None:
        if tokenize not in TOKENIZERS:
            raise ValueError(f"tokenize is {tokenize!r}; valid: {', '.join(TOKENIZERS)}")
        if not isinstance(lowercase, bool):
            raise TypeError(f"lowercase is {lowercase!r}; valid: true, false")
        self.tokenize, self.lowercase = tokenize, lowercase
        self.normalisation = None if normalisation is None else Normalisation().with_options(normalisation)

    @cached_property
    def _sacrebleu(self) -> Any:
        import sacrebleu  # slow, and not needed to list or check metrics

        return sacrebleu.BLEU(tokenize=self.tokenize, lowercase=self.lowercase, effective_order=True, force=True)

    @property
    def version(self) -> str:
        """Library and settings: what decides the numbers."""
        from importlib.metadata import version

        case = "lc" if self.lowercase else "mixed"
        settings = f"case:{case}|tok:{self.tokenize}|smooth:exp|version:{version('sacrebleu')}"
        return f"2 {settings} {self.normalisation or 'as is'}"

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            reason, prediction, references = prepare(case, self.normalisation or visible)
            references = [text for text in references if self._sacrebleu.tokenizer(text).split()]
            if not reason and not references:
                reason = NO_WORDS
            if reason:
                yield from unscored(case, self.measures, reason)
                continue
            bleu = self._sacrebleu.sentence_score(prediction, references)
            stats = (*bleu.counts, *bleu.totals, bleu.sys_len, bleu.ref_len)
            detail = f"{bleu.counts[0]} of {bleu.sys_len} tokens found, {bleu.ref_len} in the reference"
            yield Score(case.sample_id, case.repeat, "bleu", bleu.score, stats, detail=detail)
            yield Score(case.sample_id, case.repeat, "bleu_mean", bleu.score, (bleu.score, 1.0), detail=detail)

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed counts, shape (..., 10), into corpus BLEU, or (..., 2) into the mean; shape (...)."""
        return ratio_of_sums(totals) if name == "bleu_mean" else _corpus_bleu(totals)


def _corpus_bleu(totals: Array) -> Array:
    """Return BLEU for summed counts, shape (..., 10): sacrebleu's `compute_bleu`, for many resamples at once."""
    correct, total = totals[..., :ORDER], totals[..., ORDER : 2 * ORDER]
    answer, reference = totals[..., 2 * ORDER], totals[..., 2 * ORDER + 1]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        missed = correct == 0
        # Exponential smoothing: the k-th order without a match counts as 1 / 2^k matches.
        precision = np.where(missed, 0.5 ** np.cumsum(missed, axis=-1), correct) / total
        brevity = np.where(answer < reference, np.exp(1 - reference / answer), 1.0)
        score = 100 * brevity * np.exp(np.log(precision).mean(axis=-1))
    # No match at all, or answers all too short for an order: sacrebleu gives 0 without smoothing.
    score = np.where(missed.all(axis=-1) | (total == 0).any(axis=-1), 0.0, score)
    return np.where(reference == 0, np.nan, score)
