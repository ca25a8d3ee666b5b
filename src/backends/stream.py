"""What comes back: server-sent events to chunks, chunks to one answer.

data: {"choices": [{"index": 0, "delta": {"content": "Пет"}, "finish_reason": null}]}
data: {"choices": [], "usage": {"prompt_tokens": 61, "completion_tokens": 4}}
data: [DONE]
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from typing import Any

from backends.api import Failure
from backends.failures import from_error_object

MAX_ANSWER_BYTES = 10_000_000  # of one event, and of the text: more is a broken engine, not an answer
MAX_STREAM_BYTES = 100_000_000  # a long answer costs some 300 bytes a token on the wire

_LINE_END = re.compile(rb"\r\n|\n|\r")


class BadStream(Exception):
    """The stream can't be an answer; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def bad_response(message: str) -> BadStream:
    """Return the exception for a stream that breaks the protocol."""
    return BadStream(Failure("bad_response", message))


class EventStream:
    """Cuts server-sent events (WHATWG HTML, 9.2) out of bytes that arrive in any pieces; memory is bounded."""

    def __init__(self) -> None:
        self._rest = bytearray()  # the beginning of a line
        self._data: list[bytes] = []  # the data lines of the event that is being read
        self._data_bytes = 0
        self._received = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that `chunk` completes."""
        self._received += len(chunk)
        if self._received > MAX_STREAM_BYTES:
            raise bad_response(f"the stream exceeds {MAX_STREAM_BYTES // 1_000_000} MB")
        if len(self._rest) + self._data_bytes + len(chunk) > MAX_ANSWER_BYTES:
            raise bad_response(f"one event of the stream exceeds {MAX_ANSWER_BYTES // 1_000_000} MB")
        # A \r at the end may be half of \r\n: wait for what follows it.
        held_back = self._rest.endswith(b"\r")
        self._rest += chunk
        if not held_back and b"\n" not in chunk and b"\r" not in chunk:
            return []
        *lines, rest = _LINE_END.split(bytes(self._rest))
        if self._rest.endswith(b"\r"):
            rest = lines.pop() + b"\r"
        self._rest = bytearray(rest)
        return [event for line in lines if (event := self._line(line)) is not None]

    def finish(self) -> list[bytes]:
        """Return what the last event holds when the stream ends without the blank line that should close it."""
        lines = [*_LINE_END.split(bytes(self._rest)), b""]
        self._rest.clear()
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> bytes | None:
        if line:
            name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
                self._data_bytes += len(value)
            return None  # comments and other fields (event, id, retry) say nothing here
        if not self._data:
            return None
        event = b"\n".join(self._data)
        self._data, self._data_bytes = [], 0
        return event


class Answer:
    """Gathers the chunks of one answer."""

    def __init__(self) -> None:
        self.first_text_at: float | None = None  # time.perf_counter()
        self.done = False  # [DONE] was read
        self.seen_choice = False
        self.finish_reason: str | None = None
        self.served_model: str | None = None
        self.usage: dict[str, Any] = {}
        self.timing: dict[str, Any] = {}
        self.images: Any = None
        self.token_ids: list[int] | None = None
        self.prompt_token_ids: list[int] | None = None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._characters = 0

    def add(self, event: bytes) -> None:
        """Take in one event. Raise BadStream where it is no chunk of a chat completion."""
        if event == b"[DONE]":
            self.done = True
            return
        try:
            self._add_chunk(json.loads(event.decode("utf-8")))
        except UnicodeDecodeError as error:
            raise bad_response(f"the stream is not valid UTF-8: {error.reason}") from None
        except RecursionError:
            raise bad_response("a chunk of the stream is nested too deeply") from None
        except ValueError as error:
            raise bad_response(f"a chunk of the stream is not JSON ({error}): {_head(event)}") from None
        except (AttributeError, KeyError, TypeError):
            raise bad_response(f"a chunk of the stream is no chat completion: {_head(event)}") from None

    def add_whole(self, body: bytes) -> None:
        """Take in a reply that was not streamed: it has no time to the first token. Raise BadStream as `add` does."""
        self.add(body)
        if not self.seen_choice:
            raise bad_response(f"expected a text/event-stream or a chat completion, got: {_head(body)}")
        self.first_text_at, self.done = None, True

    def _add_chunk(self, chunk: dict[str, Any]) -> None:
        if chunk.get("error"):
            raise BadStream(from_error_object(chunk["error"]))
        self.served_model = str(chunk.get("model") or "") or self.served_model
        self.usage = dict(chunk.get("usage") or self.usage)
        self.timing = dict(chunk.get("timing") or self.timing)
        self.images = chunk.get("images") or self.images
        if (prompt := chunk.get("prompt_token_ids")) is not None:
            self.prompt_token_ids = list(map(int, prompt))
        for choice in chunk.get("choices") or ():
            self.seen_choice = True
            self.finish_reason = str(choice.get("finish_reason") or "") or self.finish_reason
            if (token_ids := choice.get("token_ids")) is not None:
                self.token_ids = (self.token_ids or []) + list(map(int, token_ids))
            delta = choice.get("delta") or choice.get("message") or {}
            self._append(self._text, delta.get("content"))
            self._append(self._reasoning, delta.get("reasoning_content") or delta.get("reasoning"))

    def _append(self, pieces: list[str], text: str | None) -> None:
        if not text:
            return
        if not isinstance(text, str):
            raise TypeError("text expected")
        if self.first_text_at is None:
            self.first_text_at = time.perf_counter()
        self._characters += len(text)
        if self._characters > MAX_ANSWER_BYTES:
            raise bad_response(f"the answer exceeds {MAX_ANSWER_BYTES // 1_000_000} MB")
        pieces.append(text)

    @property
    def text(self) -> str:
        """The answer without its reasoning."""
        return _joined(self._text)

    @property
    def reasoning(self) -> str | None:
        """What a thinking model thought, where the engine keeps it apart."""
        return _joined(self._reasoning) or None

    @property
    def image_tokens(self) -> int | None:
        """How many tokens of the prompt the images took."""
        details = self.usage.get("prompt_tokens_details")
        return count(details.get("image_tokens")) if isinstance(details, dict) else None

    def image_tokens_or_count(self, image_token: int | None) -> int | None:
        """Return what the engine counted, else how often `image_token` stands in the prompt that it used."""
        if self.image_tokens is not None or image_token is None or self.prompt_token_ids is None:
            return self.image_tokens
        return self.prompt_token_ids.count(image_token)

    @property
    def prompt_digest(self) -> str | None:
        """A name of the prompt as the engine tokenised it; None where it didn't tell."""
        if self.prompt_token_ids is None:
            return None
        return hashlib.sha256(",".join(map(str, self.prompt_token_ids)).encode()).hexdigest()[:16]

    @property
    def image_sizes(self) -> tuple[tuple[int, int], ...] | None:
        """Width and height in pixels of each image as the model saw it."""
        if not isinstance(self.images, list) or not all(isinstance(image, dict) for image in self.images):
            return None
        sizes = [(count(image.get("width")), count(image.get("height"))) for image in self.images]
        known = tuple((width, height) for width, height in sizes if width and height)
        return known if len(known) == len(sizes) else None

    def problem(self) -> Failure | None:
        """Say why the stream, now at its end, is not a whole answer."""
        if self.finish_reason in ("abort", "error"):  # vLLM's and SGLang's words for a request they gave up
            return Failure("server_error", f"the engine gave up (finish_reason {self.finish_reason})", retryable=True)
        if self.finish_reason is None and not self.done:
            received = f"{self._characters} characters" if self._characters else "nothing"
            return Failure("connection", f"the stream ended half-way, {received} received", retryable=True)
        if not self.seen_choice:
            return Failure("bad_response", "the answer holds no choices")
        return None


def count(value: Any) -> int | None:
    """Return what an engine counted, None where it is no number of things."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def seconds(value: Any) -> float | None:
    """Return a duration that an engine measured, None where it is none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None


def _joined(pieces: list[str]) -> str:
    text = "".join(pieces)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # an emoji's two \u escapes may come in two chunks; half of one can't be stored
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _head(event: bytes) -> str:
    return event[:200].decode("utf-8", "replace")
