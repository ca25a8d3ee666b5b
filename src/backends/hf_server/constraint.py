"""Holds answers to a JSON Schema: at each step only those tokens may be drawn with which the text can still follow it.

The package llguidance (github.com/guidance-ai/llguidance; vLLM and SGLang can use it, too) follows the grammar of each
row and says which tokens are allowed. Its own helper for torch compiles a kernel, which needs a C++ compiler on a CPU,
so the mask is applied here.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from backends.chat_server.errors import RequestError

# What may stand between two parts of JSON. With any whitespace, weak models write line ends until max_tokens.
WHITESPACE = r" ?|\n[ \t]{0,16}"


def check(schema: str, tokenizer: Any) -> None:
    """Raise RequestError where answers can't be held to a schema: llguidance doesn't know a keyword, or is missing."""
    try:
        from llguidance import LLMatcher
    except ImportError as error:
        what = f"answers can't be held to a schema: {error}; pip install llguidance in the engine's environment"
        raise RequestError(what, code="unsupported_parameter", param="response_format") from error
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        what = "answers can't be held to a schema with this checkpoint: llguidance reads fast tokenizers alone"
        raise RequestError(what, code="unsupported_parameter", param="response_format")
    if wrong := LLMatcher.validate_grammar(grammar(schema)):
        raise RequestError(f"llguidance can't hold answers to this schema: {wrong}", param="response_format")


@functools.lru_cache(maxsize=64)
def grammar(schema: str) -> str:
    """Return a schema as a grammar of llguidance."""
    from llguidance import LLMatcher

    return str(LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_pattern": WHITESPACE}))


@functools.lru_cache(maxsize=1)
def _tokens(tokenizer: Any, eos_ids: tuple[int, ...]) -> Any:
    """Return the tokenizer as llguidance reads it, which takes about a second for a large vocabulary."""
    from llguidance.hf import from_tokenizer

    return from_tokenizer(tokenizer, eos_token=list(eos_ids) or None)


class Constraint:
    """A logits processor of transformers: forbids what would break the schemas of a batch's rows.

    A row without a schema may go on as it likes. `accept` must be told each token that was drawn.
    """

    def __init__(self, schemas: Sequence[str | None], tokenizer: Any, eos_ids: Sequence[int]) -> None:
        from llguidance import LLMatcher

        tokens = _tokens(tokenizer, tuple(eos_ids))
        self._vocabulary = tokens.vocab_size
        self._matchers = [None if schema is None else LLMatcher(tokens, grammar(schema)) for schema in schemas]

    def accept(self, row: int, token: int) -> bool:
        """Take a token that was drawn for a row. Return whether the row's answer is complete.

        Raise RuntimeError if the token breaks the schema: the answer would pass for one that follows it.
        """
        matcher = self._matchers[row]
        if matcher is None:
            return False
        if not matcher.consume_token(token):
            raise RuntimeError(f"llguidance: {matcher.get_error() or f'token {token} breaks the schema'}")
        return bool(matcher.is_stopped())

    def release(self, row: int) -> None:
        """Let a row go whose answer has ended: padding follows."""
        self._matchers[row] = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:  # noqa: ARG002 - transformers passes both
        """Return the scores of the next tokens, (batch, vocabulary), with minus infinity for those not allowed."""
        import numpy as np
        import torch

        allowed = np.ones(tuple(scores.shape), dtype=bool)
        width = min(self._vocabulary, scores.shape[1])
        for row, matcher in enumerate(self._matchers):
            if matcher is None:
                continue
            bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")
            if matcher.is_error():
                raise RuntimeError(f"llguidance: {matcher.get_error()}")
            allowed[row] = False
            allowed[row, :width] = bits[:width]
        return scores.masked_fill(~torch.from_numpy(allowed).to(scores.device), float("-inf"))
