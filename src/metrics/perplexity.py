"""Perplexity of answers under a causal language model: how surprising a text is, exp(mean NLL of tokens 2..n)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.api import Case, Measure, Score
from metrics.language import no_answer
from metrics.remote import WorkerMetric
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array

_PAPER = "Jelinek et al. 1977; no BOS, as the original report"
# Larger exponents would overflow to infinity.
_LARGEST = 700.0


class Perplexity(WorkerMetric):
    """Corpus perplexity exp(sum of NLL / sum of tokens) and the mean perplexity of single texts, without references.

    `model` is the folder or hub name of a causal language model, `revision` its commit. The model reads at most
    `window` tokens of a text at a time (longer texts in windows that overlap by half) and `batch_tokens` per batch. A
    text of fewer than two tokens is unscored.
    """

    task = "perplexity"
    measures = (
        Measure("perplexity", "lower", "corpus", 1, None, "exp(sum of NLL / sum of scored tokens)", _PAPER),
        Measure("perplexity_mean", "lower", "mean", 1, None, "mean of exp(mean NLL of tokens 2..n)", _PAPER),
    )

    def __init__(
        self,
        model: str = "ai-forever/rugpt3large_based_on_gpt2",
        revision: str | None = None,
        window: int = 1024,
        batch_tokens: int = 4096,
        env: str = "current",
        silence_s: float = 3600,
    ) -> None:
        super().__init__(env, silence_s)
        for name, value in (("window", window), ("batch_tokens", batch_tokens)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 2:
                raise ValueError(f"{name} is {value!r}; valid: a whole number from 2")
        self._options = {"model": model, "revision": revision, "window": window, "batch_tokens": batch_tokens}

    def options(self) -> dict[str, Any]:
        """Return the options of the worker's task."""
        return self._options

    def items(self, case: Case) -> tuple[str, list[dict[str, Any]]]:
        """Return the answer as the only item."""
        return (no_answer(case), []) if case.prediction is None else ("", [{"text": case.prediction}])

    def scored(self, case: Case, replies: Sequence[Mapping[str, Any]]) -> Iterator[Score]:
        """Yield both measures."""
        nll, tokens = replies[0]["nll"], replies[0]["tokens"]
        value = math.exp(min(nll / tokens, _LARGEST))
        detail = f"{tokens} tokens scored"
        yield Score(case.sample_id, case.repeat, "perplexity", value, (nll, float(tokens)), detail=detail)
        yield Score(case.sample_id, case.repeat, "perplexity_mean", value, (value, 1.0), detail=detail)

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed (NLL, tokens), shape (..., 2), into corpus perplexity, or (..., 2) into the mean; shape (...)."""
        ratio = ratio_of_sums(totals)
        return ratio if name == "perplexity_mean" else np.exp(np.minimum(ratio, _LARGEST))
