"""Anthropic and Gemini on 127.0.0.1, as far as LiteLLM asks them: pictures in, a stream with text and usage out.

The forms are those that LiteLLM 1.110.2 reads (llms/anthropic/chat/handler.py, llms/vertex_ai/gemini): Anthropic's
Messages API with events, and Gemini's streamGenerateContent with alt=sse. A question that contains one of `SCENARIOS`
is answered by that.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ANSWER = "Федорко"
SCENARIOS = ("refuse", "rate limit", "overloaded")


@dataclass
class Asked:
    """One request: where, with which headers, and what."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)


class Providers:
    """The server of both; `asked` holds the requests."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Providers
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.owner.asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        text = json.dumps(body, ensure_ascii=False)
        scenario = next((name for name in SCENARIOS if name in text), "")
        is_gemini = "generateContent" in self.path or "GenerateContent" in self.path
        if scenario == "rate limit":
            return self._refuse(429, is_gemini, "rate_limit_error", "too many requests")
        if scenario == "overloaded":
            return self._refuse(529, is_gemini, "overloaded_error", "Overloaded")
        events = _gemini(scenario) if is_gemini else _anthropic(scenario)
        self._send(200, "text/event-stream", b"".join(events))

    def _refuse(self, status: int, is_gemini: bool, kind: str, words: str) -> None:
        error: dict[str, Any] = {"type": "error", "error": {"type": kind, "message": words}}
        if is_gemini:
            error = {"error": {"code": status, "message": words, "status": "RESOURCE_EXHAUSTED"}}
        self._send(status, "application/json", json.dumps(error).encode(), {"Retry-After": "7"})

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _anthropic(scenario: str) -> Iterator[bytes]:
    usage = {"input_tokens": 61, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 1}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test",
        "content": [],
        "usage": usage,
    }
    yield _event("message_start", {"message": message | {"stop_reason": None, "stop_sequence": None}})
    if not scenario:
        yield _event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        for piece in (ANSWER[:3], ANSWER[3:]):
            yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": piece}})
        yield _event("content_block_stop", {"index": 0})
    reason = "refusal" if scenario else "end_turn"
    yield _event(
        "message_delta", {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 5}}
    )
    yield _event("message_stop", {})


def _event(name: str, content: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **content}, ensure_ascii=False)}\n\n".encode()


def _gemini(scenario: str) -> Iterator[bytes]:
    usage = {"promptTokenCount": 270, "candidatesTokenCount": 5, "totalTokenCount": 275}
    if scenario:
        told = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 270}}
        candidate: dict[str, Any] = {"finishReason": "SAFETY", "index": 0, "content": {"role": "model", "parts": []}}
        yield _data(told | {"candidates": [candidate]})
        return
    for piece, last in ((ANSWER[:3], False), (ANSWER[3:], True)):
        candidate = {"content": {"role": "model", "parts": [{"text": piece}]}, "index": 0}
        yield _data({"candidates": [candidate | ({"finishReason": "STOP"} if last else {})], "usageMetadata": usage})


def _data(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\r\n\r\n".encode()
