"""Reads the log-probabilities of an answer's tokens, and says which characters of the answer each token brings.

    {"choices": [{"delta": {"content": "Да"}, "logprobs": {"content": [{"token": "Да", "logprob": -0.02,
    "bytes": [208, 148, 208, 176]}]}}]}

Servers send more tokens than the text has (the end of the turn, reasoning), and pieces of characters: SGLang 0.5.23
and OpenAI give their bytes, vLLM 0.33.0 gives nothing and the whole character with its last piece. Where the tokens
don't give the text, no confidence can be computed, and `TokenLogprobs.problem` says why.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from backends.api import TokenLogprobs

# What a server may send behind the text (and before it): tokens that end a turn, and white space that is stripped.
_NO_TEXT = re.compile(r"(?:<\|[^|<>]{1,40}\|>|</?s>|<(?:eos|bos|pad|end_of_turn|start_of_turn|end_of_utterance)>|\s)*")
_DIGITS = 5  # of a stored logarithm: a probability is kept to 0.001 %
_TOKEN_ID = re.compile(r"token_id:\d+")  # vLLM with return_tokens_as_token_ids
_LEAST = -9999.0  # vLLM's word for a probability of 0


class Reader:
    """Collects the tokens of a stream as they come. A form that is not known is kept as a problem, and never raised."""

    def __init__(self) -> None:
        self.told = False  # whether the server sent any
        self._pieces: list[bytes | None] = []  # None: a part of a character whose bytes are not told
        self._logprobs: list[float] = []
        self._problem = ""

    def add(self, told: Any) -> None:
        """Add the `logprobs` of a choice of a chunk, or of a whole answer."""
        if not told or self._problem:
            return
        try:
            for piece, logprob in _entries(told):
                self.told = True
                self._pieces.append(piece)
                self._logprobs.append(logprob)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            self.told = True
            self._problem = f"the server's log-probabilities can't be read: {str(error)[:100]}"

    def of(self, answer: str, *, has_reasoning: bool = False, stop: Sequence[str] = ()) -> TokenLogprobs | None:
        """Return the tokens of the answer's text; None if the server sent none at all.

        `has_reasoning`: other text precedes the answer. `stop` are the texts that end it, and are not part of it.
        """
        if not self.told:
            return None
        if self._problem:
            return TokenLogprobs(problem=self._problem)
        if not answer:
            return TokenLogprobs(problem="the answer is empty")
        if None in self._pieces:
            return TokenLogprobs(problem="the server sent pieces of characters without their bytes")
        pieces = [piece for piece in self._pieces if piece is not None]
        whole = answer.encode("utf-8", "surrogatepass")
        joined = b"".join(pieces)
        at = _place(joined, whole, has_reasoning=has_reasoning, stop=stop)
        if at is not None:
            return _cut(pieces, self._logprobs, whole, at)
        bare = [piece.replace(b" ", b"") for piece in pieces]
        at = _place(b"".join(bare), whole.replace(b" ", b""), has_reasoning=has_reasoning, stop=stop)
        if at is None or not whole.strip(b" "):
            return TokenLogprobs(problem=_mismatch(joined, answer))
        return _cut(*_with_spaces(bare, self._logprobs, whole, at), whole, 0)


def _entries(told: Any) -> Iterable[tuple[bytes | None, float]]:
    """Yield (bytes, log-probability) of each token; bytes are None for a piece of a character that is not told."""
    if "content" in told or "tokens" not in told:
        for entry in told.get("content") or ():
            yield _piece(entry["token"], entry.get("bytes")), _number(entry["logprob"])
        return
    # The form of /v1/completions, which some servers use for chats as well.
    for token, logprob in zip(told["tokens"], told["token_logprobs"], strict=True):
        yield _piece(token, None), _number(logprob)


def _piece(token: str, given: Any) -> bytes | None:
    if _TOKEN_ID.fullmatch(token) and given is None:
        raise ValueError("tokens are ids without their text")
    told = token.encode("utf-8", "surrogatepass")
    if given is None or bytes(given) == told:  # bytes that only repeat the text say nothing of a broken character
        return None if "\ufffd" in token else told
    return bytes(given)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"{value!r} is no log-probability")
    if value > 1e-3:
        raise ValueError(f"{value} is no log-probability: it is above 0")
    return round(min(0.0, max(float(value), _LEAST)), _DIGITS)


def _place(joined: bytes, whole: bytes, *, has_reasoning: bool, stop: Sequence[str]) -> int | None:
    """Return where the answer begins in the joined tokens; None if they are those of another text."""
    at = joined.rfind(whole)
    if at < 0:
        return None
    before, after = (part.decode("utf-8", "replace") for part in (joined[:at], joined[at + len(whole) :]))
    ends = after.startswith(tuple(stop)) if stop else False
    if not ends and not _NO_TEXT.fullmatch(after):
        return None
    return at if has_reasoning or _NO_TEXT.fullmatch(before) else None


def _with_spaces(
    pieces: Sequence[bytes], logprobs: Sequence[float], whole: bytes, at: int
) -> tuple[list[bytes], list[float]]:
    """Return the tokens of an answer with the spaces that they lack: a space belongs to the token behind it.

    A server that decodes each token by itself loses the space with which a token of SentencePiece begins (SGLang 0.5.23
    for tokenizers that are not byte-level; vLLM 0.33.0 restores it).
    """
    spaced, kept, offset, place = list[bytes](), list[float](), -at, 0
    left = len(whole.replace(b" ", b""))
    for piece, logprob in zip(pieces, logprobs, strict=True):
        inside = piece[max(0, -offset) : max(0, left - offset)]
        offset += len(piece)
        if not inside:
            continue
        begin, missing = place, len(inside)
        while missing:
            missing -= whole[place : place + 1] != b" "
            place += 1
        spaced.append(whole[begin:place])
        kept.append(logprob)
    spaced[-1] += whole[place:]
    return spaced, kept


def _cut(pieces: Sequence[bytes], logprobs: Sequence[float], whole: bytes, at: int) -> TokenLogprobs:
    """Return the tokens that bring bytes `at` to `at + len(whole)`. A character belongs to its last byte's token."""
    # Continuation bytes of UTF-8 are 10xxxxxx: ends[i] is the number of characters that are complete after i bytes.
    starts = list(accumulate((byte & 0xC0 != 0x80 for byte in whole), initial=0))
    count = len(whole)
    complete = [starts[i] - (i < count and whole[i] & 0xC0 == 0x80) for i in range(count + 1)]
    lengths, kept, offset = [], [], 0
    for piece, logprob in zip(pieces, logprobs, strict=True):
        begin, end = offset - at, offset + len(piece) - at
        offset += len(piece)
        inside = 0 <= begin < count if not piece else begin < count and end > 0
        if inside:
            lengths.append(complete[min(end, count)] - complete[max(begin, 0)])
            kept.append(logprob)
    return TokenLogprobs(tuple(lengths), tuple(kept))


def _mismatch(joined: bytes, answer: str) -> str:
    """Say that the tokens are not those of the text, and where they begin to differ."""
    told = joined.decode("utf-8", "replace")
    same = next((i for i, (one, other) in enumerate(zip(told, answer, strict=False)) if one != other), None)
    same = min(len(told), len(answer)) if same is None else same
    return (
        f"the tokens don't give the answer's text: after {same} equal characters the tokens have "
        f"{told[same : same + 20]!r}, the text {answer[same : same + 20]!r}"
    )
