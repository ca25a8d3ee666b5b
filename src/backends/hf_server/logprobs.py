"""Tells how probable the tokens of a batch were, from the logits that `generate` computed for them anyway."""

from __future__ import annotations

from typing import Any


class ChosenLogprobs:
    """A logits processor of transformers that changes nothing, and remembers the logits of the step.

    It stands behind the one that forbids what breaks a schema, and before penalties and temperature. So these are the
    model's own probabilities among the tokens that were allowed, as vLLM 0.33.0 gives them (`raw_logprobs`, computed
    behind the grammar's mask: v1/worker/gpu/model_runner.py). Only the chosen token's is computed: one pass over
    (batch, vocabulary) for the normalisation, no copy of it, no sorting.
    """

    def __init__(self) -> None:
        self._logits: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 - transformers passes both
        """Remember the logits of the next tokens, (batch, vocabulary) in float32."""
        self._logits = scores
        return scores

    def of(self, tokens: Any) -> list[float]:
        """Return the natural logarithms of the probabilities of the tokens that were chosen, (batch,)."""
        logits, self._logits = self._logits, None
        chosen = logits.gather(1, tokens.unsqueeze(1)).squeeze(1)
        result: list[float] = (chosen - logits.logsumexp(dim=-1)).tolist()
        return result
