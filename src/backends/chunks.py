"""What servers put into one choice of a chat completion, and by which words they say why it ended.

OpenAI's form is `{"index": 0, "delta": {"content": "Пет"}, "finish_reason": null}`. Others send lists of parts
(Mistral), `message` or `text` in place of `delta` (gateways, legacy completions), and words of their own for the end
(Gemini, Cohere).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

LENGTH, FILTERED, TOOLS, BROKEN = "length", "content_filter", "tool_calls", "error"
# Lower case, without prefix; what is not listed here stays as it is and is told of.
_WORDS = {
    "stop": (
        "eos",
        "eos_token",
        "end_turn",
        "stop_sequence",
        "stop_token",
        "complete",
        "completed",
        "finished",
        "done",
    ),
    LENGTH: (
        *("max_tokens", "max_token", "max_output_tokens", "max_new_tokens", "max_completion_tokens", "max_length"),
        *("model_length", "token_limit", "output_limit", "incomplete", "truncated", "context_length"),
        *("model_context_window_exceeded", "context_length_exceeded", "max_context_length"),
    ),
    FILTERED: (
        *("content_filtered", "content-filter", "safety", "recitation", "prohibited_content", "blocklist", "spii"),
        *("image_safety", "language", "sensitive", "safety_filter", "moderation"),
    ),
    TOOLS: ("function_call", "tool_call", "tool_use", "function_calls"),
    # DeepSeek's word for a lack of machines, Zhipu's for a lost connection, vLLM's and SGLang's for what they gave up.
    BROKEN: (
        *("abort", "aborted", "cancelled", "canceled", "network_error", "insufficient_system_resource"),
        *("malformed_function_call", "error_toxic", "timeout", "server_error"),
    ),
    "refusal": ("refused",),
}
_PLAIN = {"content", "role"}
_MEANING = {word: meaning for meaning, words in _WORDS.items() for word in (meaning, *words)}


class Piece(NamedTuple):
    """What one choice of one chunk says. `tools` are names of functions that the model wants to be called."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tools: tuple[str, ...] = ()
    whole: bool = False  # a message, which may repeat what came before; not the next piece of one


def meaning(word: str) -> str | None:
    """Return OpenAI's word for a finish reason; None where nobody here knows it."""
    plain = word.strip().lower().removeprefix("finishreason.").removeprefix("finish_reason_")
    return _MEANING.get(plain)


def index(choice: dict[str, Any], position: int) -> int:
    """Return which of several answers a choice belongs to; where it isn't said, its place in the chunk."""
    given = choice.get("index")
    return position if given is None else int(given)


def read(choice: dict[str, Any]) -> Piece:
    """Return what a choice says. Raise TypeError or AttributeError where it is none."""
    delta = choice.get("delta")
    if delta and delta.keys() <= _PLAIN and delta.get("content") and isinstance(delta["content"], str):
        return Piece(delta["content"])  # nearly every chunk
    piece = Piece() if delta is None else _said(delta)
    if any(piece):
        return piece
    # In place of a delta, or beside one that is empty.
    message, text = choice.get("message"), choice.get("text")
    if message is not None and (delta is None or isinstance(message, dict)):
        return _said(message)._replace(whole=True)
    if text is not None and (delta is None or isinstance(text, str)):  # the form of /v1/completions, always a piece
        return Piece(_content(text)[0], whole=delta is not None)
    return piece


def together(pieces: Sequence[str], messages: Sequence[str]) -> str:
    """Return what pieces and messages say: a message may be a piece like any other, or repeat all that came before."""
    told, said = "".join(pieces), [message for message in messages if message]
    whole = said[-1] if repeat(said) else "".join(said)
    if not told or (whole and whole.startswith(told)):
        return whole
    return told if told.endswith(whole) else told + whole


def repeat(messages: Sequence[str]) -> bool:
    """Say whether each of several messages holds all that the one before it said."""
    said = [message for message in messages if message]
    return len(said) > 1 and all(later.startswith(earlier) for earlier, later in pairwise(said))


def _said(said: dict[str, Any]) -> Piece:
    text, thought, refusal = _content(said.get("content"))
    named = said.get("reasoning_content") or said.get("reasoning") or said.get("thinking")
    return Piece(text, thought + _plain(named), refusal + _plain(said.get("refusal")), _tools(said))


def _content(content: Any) -> tuple[str, str, str]:
    """Return text, reasoning and refusal of a content: a text, or parts of several types."""
    if content is None or isinstance(content, str):
        return content or "", "", ""
    text, thought, refusal = [], [], []
    for part in [content] if isinstance(content, dict) else content:
        if isinstance(part, str):
            text.append(part)
        elif part.get("type") in ("thinking", "reasoning"):
            named = part.get("thinking") or part.get("reasoning") or part.get("text") or part.get("content")
            thought.append(_plain(named))
        elif part.get("type") == "refusal":
            refusal.append(_plain(part.get("refusal") or part.get("text")))
        else:  # what has no text (references, pictures) adds none
            text.append(_plain(part.get("text")))
    return "".join(text), "".join(thought), "".join(refusal)


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, dict):
        return _plain(value.get("text") or value.get("thinking") or value.get("value"))
    return "".join(map(_plain, value))


def _tools(said: dict[str, Any]) -> tuple[str, ...]:
    calls = [(call or {}).get("function") or {} for call in said.get("tool_calls") or ()]
    calls += [said["function_call"]] if said.get("function_call") else []
    # The pieces of a call name its function only once.
    return tuple(str(call.get("name") or "") for call in calls)
