"""Chat completion answers: the events that the model thread reports, and their OpenAI JSON. Standard library only."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from backends.chat_server.errors import RequestError
from backends.chat_server.protocol import ChatRequest


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """The text that a token completed, empty for a piece of a character, and the logarithm of its probability."""

    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer, of the reasoning, or of both, with the tokens that were sampled since the last piece.

    `logprobs` are those of the tokens whose text is known, which may be ahead of `text`.
    """

    text: str
    token_ids: tuple[int, ...]
    reasoning: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of one request in seconds, measured by the server.

    `queue_s` lasts from the request's last byte to the start of its batch. It includes `prepare_s`, the time for image
    decoding, resizing and tokenising. `prefill_s` lasts from the start of the batch to the first token, including the
    transfer to the device and the vision tower. `decode_s` lasts from the first to the last token.
    """

    queue_s: float
    prepare_s: float
    prefill_s: float
    decode_s: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer. `image_sizes` are (width, height) in pixels as the model saw them, if known.

    `completion_tokens` is None if the model's own code doesn't report it. Then `prompt_tokens` is unknown as well.
    """

    reason: str
    prompt_tokens: int
    completion_tokens: int | None
    image_tokens: int
    image_sizes: tuple[tuple[int, int], ...]
    timing: Timing


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of a request that failed."""

    error: RequestError


Event = Delta | Finished | Failed


class Completion:
    """Writes the JSON of one answer, streamed in pieces or as a whole."""

    def __init__(self, request: ChatRequest, model: str):
        self._request = request
        self._prompt_ids: list[int] | None = None
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def tell_prompt(self, token_ids: list[int] | None) -> None:
        """Send the prompt's token ids, including those of images, with the first event if the request asks for them."""
        if self._request.return_token_ids:
            self._prompt_ids = token_ids

    def chunk(self, delta: Delta, *, first: bool) -> bytes:
        """Return a server-sent event with a piece of text. The first event also has the role."""
        content: dict[str, Any] = {"role": "assistant"} if first else {}
        if delta.reasoning:
            content["reasoning_content"] = delta.reasoning
        return self._chunk({**content, "content": delta.text}, None, delta)

    def end(self, finished: Finished, rest: Delta) -> list[bytes]:
        """Return the last events: the finish reason, the usage if the request asks for it, and [DONE].

        `rest` has the tokens without text at the end, such as the end of the turn.
        """
        events = [self._chunk({}, finished.reason, rest)]
        if self._request.include_usage:
            head = {**self._head, "object": "chat.completion.chunk"}
            events.append(_event({**head, "choices": [], **_measurements(finished)}))
        return [*events, b"data: [DONE]\n\n"]

    def failure(self, error: RequestError) -> list[bytes]:
        """Return the events that end a stream after an error."""
        return [_event(error.body()), b"data: [DONE]\n\n"]

    def whole(self, answer: Delta, finished: Finished) -> dict[str, Any]:
        """Return the body of an answer that isn't streamed."""
        message = {"role": "assistant", "content": answer.text}
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finished.reason}
        self._tell_tokens(choice, answer)
        prompt = {} if self._prompt_ids is None else {"prompt_token_ids": self._prompt_ids}
        return {**self._head, "object": "chat.completion", "choices": [choice], **prompt, **_measurements(finished)}

    def _tell_tokens(self, choice: dict[str, Any], delta: Delta) -> None:
        """Add what the request asks for of the tokens."""
        if self._request.return_token_ids:
            choice["token_ids"] = list(delta.token_ids)
        if self._request.logprobs:
            choice["logprobs"] = {"content": [_logprob(token) for token in delta.logprobs]}

    def _chunk(self, content: dict[str, Any], reason: str | None, delta: Delta) -> bytes:
        choice: dict[str, Any] = {"index": 0, "delta": content, "finish_reason": reason}
        self._tell_tokens(choice, delta)
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        if self._prompt_ids is not None:
            chunk["prompt_token_ids"], self._prompt_ids = self._prompt_ids, None
        return _event(chunk)


def _logprob(token: TokenLogprob) -> dict[str, Any]:
    """Return a token in OpenAI's form. Its bytes are those of its text, so that the joined bytes are the answer's."""
    return {
        "token": token.text,
        "logprob": token.logprob,
        "bytes": list(token.text.encode("utf-8", "replace")),
        "top_logprobs": [],
    }


def _measurements(finished: Finished) -> dict[str, Any]:
    usage: dict[str, Any] = {}
    if finished.completion_tokens is not None:
        usage = _usage(finished, finished.completion_tokens)
    timing = finished.timing
    measurements: dict[str, Any] = {
        "usage": usage,
        "timing": {name: round(getattr(timing, name), 6) for name in Timing.__slots__},
    }
    if finished.image_sizes:
        measurements["images"] = [{"width": width, "height": height} for width, height in finished.image_sizes]
    return measurements


def _usage(finished: Finished, completion_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": finished.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": finished.prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"image_tokens": finished.image_tokens},
    }


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"
