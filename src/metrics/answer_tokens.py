"""The tokens of an answer with their log-probabilities, and how probable the answer, or a part of it, was in all.

"Пет" -0.1, "ров" -0.02  ->  product exp(-0.12) = 0.887, mean exp(-0.06) = 0.942, minimum exp(-0.1) = 0.905
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

# How the probabilities of tokens become that of a text. `product` is the model's own probability of this very text
# (the chain rule); `mean` is its geometric mean a token, which doesn't fall with the length (Malinin & Gales 2021,
# "Uncertainty estimation in autoregressive structured prediction"); `minimum` is that of its least certain token.
KINDS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "product": lambda logprobs: math.exp(math.fsum(logprobs)),
    "mean": lambda logprobs: math.exp(math.fsum(logprobs) / len(logprobs)),
    "minimum": lambda logprobs: math.exp(min(logprobs)),
}


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """The tokens of an answer: how many characters each adds to its text, and the natural logarithm of its probability.

    `problem` says why an engine's log-probabilities are none of this text; then there are no tokens.
    """

    lengths: array[int] = field(default_factory=lambda: array("I"))
    logprobs: array[float] = field(default_factory=lambda: array("f"))
    problem: str = ""

    @classmethod
    def of(cls, lengths: Sequence[int], logprobs: Sequence[float], problem: str = "") -> AnswerTokens:
        """Pack tokens into 8 bytes each: a job has millions of them."""
        if len(lengths) != len(logprobs):
            raise ValueError(f"{len(lengths)} lengths of tokens and {len(logprobs)} log-probabilities")
        return cls(array("I", lengths), array("f", logprobs), problem)

    def within(self, spans: Sequence[tuple[int, int]]) -> list[float]:
        """Return the log-probabilities of the tokens with a character in one of the spans [begin, end) of the text."""
        found, at, spans = [], 0, sorted(spans)
        waiting = iter(spans)
        span = next(waiting, None)
        for length, logprob in zip(self.lengths, self.logprobs, strict=True):
            while span is not None and span[1] <= at:
                span = next(waiting, None)
            if span is None:
                break
            # A piece of a character stands where the character will.
            if span[0] < at + max(length, 1):
                found.append(logprob)
            at += length
        return found

    def confidence(self, kind: str, spans: Sequence[tuple[int, int]] | None = None) -> float | None:
        """Return the probability of the text, or of what lies within spans; None where no token does."""
        logprobs = list(self.logprobs) if spans is None else self.within(spans)
        return min(1.0, KINDS[kind](logprobs)) if logprobs else None
