"""Parses server-sent events (WHATWG HTML, 9.2) from bytes that arrive in arbitrary pieces.

event: error
data: {"message": "boom"}
"""

from __future__ import annotations

import re
from typing import NamedTuple

from backends.api import Failure

MAX_ANSWER_BYTES = 10_000_000  # limit for one event and for the text: only a broken engine sends more
MAX_STREAM_BYTES = 100_000_000  # a streamed token takes about 300 bytes

_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerEvent(NamedTuple):
    """One server-sent event: its name, which is mostly empty, and its data."""

    name: str
    data: bytes


class BadStream(Exception):
    """The stream is no answer; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def bad_response(message: str) -> BadStream:
    """Return the exception for a stream that breaks the protocol."""
    return BadStream(Failure("bad_response", message))


class EventStream:
    """Splits bytes that arrive in arbitrary pieces into server-sent events (WHATWG HTML, 9.2). Memory is bounded."""

    def __init__(self) -> None:
        self._rest = bytearray()  # the beginning of a line
        self._data: list[bytes] = []  # the data lines of the event that is being read
        self._name = ""
        self._data_bytes = 0
        self._received = 0

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that `chunk` completes."""
        self._received += len(chunk)
        if self._received > MAX_STREAM_BYTES:
            raise bad_response(f"the stream exceeds {MAX_STREAM_BYTES // 1_000_000} MB")
        if len(self._rest) + self._data_bytes + len(chunk) > MAX_ANSWER_BYTES:
            raise bad_response(f"one event of the stream exceeds {MAX_ANSWER_BYTES // 1_000_000} MB")
        # A \r at the end may be the first half of \r\n: wait for the next byte.
        held_back = self._rest.endswith(b"\r")
        self._rest += chunk
        if not held_back and b"\n" not in chunk and b"\r" not in chunk:
            return []
        *lines, rest = _LINE_END.split(bytes(self._rest))
        if self._rest.endswith(b"\r"):
            rest = lines.pop() + b"\r"
        self._rest = bytearray(rest)
        return [event for line in lines if (event := self._line(line)) is not None]

    def finish(self) -> list[ServerEvent]:
        """Return the last event if the stream ended without the blank line that should end the event."""
        lines = [*_LINE_END.split(bytes(self._rest)), b""]
        self._rest.clear()
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if line.startswith(b"data: "):  # nearly every line that is not blank
            self._data.append(line[6:])
            self._data_bytes += len(line) - 6
            return None
        if line:
            field, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
            value = value.removeprefix(b" ")
            if field in (b"data", b"error"):
                self._data.append(value)
                self._data_bytes += len(value)
            if field == b"error":  # older llama.cpp servers send errors in a field of this name
                self._name = "error"
            elif field == b"event":
                self._name = value.decode("utf-8", "replace").strip()
            return None  # comments and other fields (id, retry) are ignored
        name, self._name = self._name, ""
        if not self._data:
            return None
        event = b"\n".join(self._data)
        self._data, self._data_bytes = [], 0
        return ServerEvent(name, event)
