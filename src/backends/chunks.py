"""Reads one choice of a chat completion, in the forms and with the finish reasons that different servers use.

OpenAI's form is `{"index": 0, "delta": {"content": "Пет"}, "finish_reason": null}`. Others send lists of parts
(Mistral), `message` or `text` instead of `delta` (gateways, legacy completions), and their own finish reasons (Gemini,
Cohere).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

LENGTH, FILTERED, TOOLS, BROKEN = "length", "content_filter", "tool_calls", "error"
# OpenAI's finish reason -> the words of other servers, in lower case and without prefix. An unknown word is kept.
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
        *("length_limit", "length_capped", "max_tokens_reached", "error_limit"),
    ),
    FILTERED: (
        *("content_filtered", "safety", "recitation", "prohibited_content", "blocklist", "spii"),
        *("image_safety", "language", "sensitive", "safety_filter", "moderation"),
        *("image_prohibited_content", "image_recitation", "error_toxic"),
    ),
    TOOLS: ("function_call", "tool_call", "tool_use", "function_calls"),
    # DeepSeek lacks machines, Zhipu lost a connection, vLLM or SGLang aborted a request.
    BROKEN: (
        *("abort", "aborted", "cancelled", "canceled", "network_error", "insufficient_system_resource"),
        *("malformed_function_call", "unexpected_tool_call", "timeout", "server_error"),
    ),
    "refusal": ("refused",),
}
_PLAIN = {"content", "role"}
# Keys of a delta that are read elsewhere, or are no part of an answer.
_NO_TEXT = {
    *("content", "role", "name", "id", "object", "type", "index", "finish_reason", "stop_reason", "refusal"),
    *("reasoning", "reasoning_content", "thinking", "reasoning_details", "reasoning_signature", "signature"),
    *("tool_calls", "function_call", "annotations", "citations", "provider_specific_fields", "padding"),
}
_MEANING = {word: meaning for meaning, words in _WORDS.items() for word in (meaning, *words)}


class Piece(NamedTuple):
    """The content of one choice of one chunk. `tools` are the names of functions that the model calls."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tools: tuple[str, ...] = ()
    whole: bool = False  # a whole message, which may repeat earlier pieces; otherwise the next piece of the text


def finish_word(choice: dict[str, Any]) -> str:
    """Return the word for why an answer ended; empty if a choice has none.

    SGLang's own API writes `{"type": "length", "length": 64}` and older OpenAI models `finish_details: {"type":
    "max_tokens"}`. A gateway of Anthropic's models may leave `stop_reason` in its place, where vLLM writes the text or
    the number of the token that ended the answer: so only a word that is known counts there.
    """
    for told in (choice.get("finish_reason"), choice.get("finish_details")):
        word = told.get("type") if isinstance(told, dict) else told
        if word:
            return str(word)
    other = choice.get("stop_reason")
    return other if isinstance(other, str) and meaning(other) in (LENGTH, FILTERED) else ""


def meaning(word: str) -> str | None:
    """Return OpenAI's word for a finish reason; None if the word is not known.

    Google's endpoint of OpenAI's dialect writes `content_filter: PROHIBITED_CONTENT`. Capital letters, spaces, `-` and
    `_` don't matter: `maxTokens`, `MAX_TOKENS`.
    """
    for part in reversed(word.split(":")):
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", part.strip())
        plain = re.sub(r"[\s_-]+", "_", snake).lower().removeprefix("finishreason.").removeprefix("finish_reason.")
        if known := _MEANING.get(plain.removeprefix("finish_reason_")):
            return known
    return None


def index(choice: dict[str, Any], position: int) -> int:
    """Return the index of the answer to which a choice belongs. Without an index, it is the place in the chunk."""
    number = choice.get("index")
    return position if number is None else int(number)


def read(choice: dict[str, Any]) -> Piece:
    """Return the content of a choice. Raise TypeError or AttributeError if it has another form."""
    delta = choice.get("delta")
    if delta and delta.keys() <= _PLAIN and delta.get("content") and isinstance(delta["content"], str):
        return Piece(delta["content"])  # true for nearly every chunk
    piece = Piece() if delta is None else _piece(delta)
    if any(piece):
        return piece
    # These come instead of a delta, or beside an empty delta.
    message, text = choice.get("message"), choice.get("text")
    if message is not None and (delta is None or isinstance(message, dict)):
        return _piece(message)._replace(whole=True)
    if text is not None and (delta is None or isinstance(text, str)):  # the form of /v1/completions: always a piece
        return Piece(_content(text)[0], whole=delta is not None)
    return piece


def unread(choice: dict[str, Any]) -> bool:
    """Return whether a choice of which nothing was read has a text under a key that is not known.

    Without a text, an answer is empty; so a text that isn't found must not pass for none.
    """
    delta = choice.get("delta") or choice.get("message") or {}
    outside = {name: choice[name] for name in ("content", "output", "generated_text", "response") if choice.get(name)}
    inside = {name: value for name, value in delta.items() if name not in _NO_TEXT}
    return any(map(_has_text, (*outside.values(), *inside.values())))


def _has_text(value: Any) -> bool:
    if isinstance(value, dict):
        return _has_text(value.get("text")) or _has_text(value.get("content"))
    return any(map(_has_text, value)) if isinstance(value, list) else isinstance(value, str) and bool(value.strip())


def together(pieces: Sequence[str], messages: Sequence[str]) -> str:
    """Return the text of pieces and messages. A message is a piece like any other, or repeats the text so far."""
    text, nonempty = "".join(pieces), [message for message in messages if message]
    whole = nonempty[-1] if repeat(nonempty) else "".join(nonempty)
    if not text or (whole and whole.startswith(text)):
        return whole
    return text if text.endswith(whole) else text + whole


def repeat(messages: Sequence[str]) -> bool:
    """Return whether there are several messages, and each begins with the whole previous message."""
    nonempty = [message for message in messages if message]
    return len(nonempty) > 1 and all(later.startswith(earlier) for earlier, later in pairwise(nonempty))


def _piece(delta: dict[str, Any]) -> Piece:
    """Return the content of a delta, or of a message, which has the same keys."""
    text, thought, refusal = _content(delta.get("content"))
    named = delta.get("reasoning_content") or delta.get("reasoning") or delta.get("thinking")
    return Piece(text, thought + _plain(named), refusal + _plain(delta.get("refusal")), _tools(delta))


def _content(content: Any) -> tuple[str, str, str]:
    """Return text, reasoning and refusal of a content, which is a text or a list of parts of several types."""
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
        else:  # parts without a text (references, pictures) add nothing
            text.append(_plain(part.get("text")))
    return "".join(text), "".join(thought), "".join(refusal)


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, dict):
        return _plain(value.get("text") or value.get("thinking") or value.get("value"))
    return "".join(map(_plain, value))


def _tools(delta: dict[str, Any]) -> tuple[str, ...]:
    calls = [(call or {}).get("function") or {} for call in delta.get("tool_calls") or ()]
    calls += [delta["function_call"]] if delta.get("function_call") else []
    # Only the first piece of a call names its function.
    return tuple(str(call.get("name") or "") for call in calls)
