"""A judge behind a real HTTP endpoint that does what a test tells it, and remembers what it was asked."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROMPT_TOKENS, COMPLETION_TOKENS = 300, 50


@dataclass
class Reply:
    """What the endpoint does with a request: a text as a stream or as one piece, or a status; after a wait."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    usage: bool = True
    prompt_tokens: int = PROMPT_TOKENS
    stream: bool = True
    words: str = "as told"  # of an error


def texts(body: dict[str, Any]) -> list[str]:
    """The text of each message."""
    found = []
    for message in body["messages"]:
        content = message["content"]
        found.append(content if isinstance(content, str) else content[-1]["text"])
    return found


def shown(body: dict[str, Any]) -> dict[str, str]:
    """What stands between the tags of the first question: answer_1, answer_2, answer, reference."""
    question = next(text for text in texts(body) if "<answer" in text)
    return {name: text.strip() for name, text in re.findall(r"<(\w+)>\n(.*?)\n?</\1>", question, flags=re.DOTALL)}


def pairwise(first: float, second: float, why: str = "because") -> str:
    return json.dumps({"explanation": why, "answer_1": {"usefulness": first}, "answer_2": {"usefulness": second}})


def absolute(points: float, why: str = "because") -> str:
    return json.dumps({"explanation": why, "answer": {"correctness": points}})


class ScriptedJudge:
    """Use as a context manager; `script` gets the body of a request and the number of requests before it."""

    def __init__(self, script: Callable[[dict[str, Any], int], Reply | str]) -> None:
        self.script = script
        self.bodies: list[dict[str, Any]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    number = len(outer.bodies)
                    outer.bodies.append(body)
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                try:
                    reply = outer.script(body, number)
                    self._send(reply if isinstance(reply, Reply) else Reply(reply))
                finally:
                    with outer._lock:
                        outer.at_once -= 1

            def _send(self, reply):
                time.sleep(reply.wait_s)
                kind, content = "application/json", json.dumps({"error": {"message": reply.words}}).encode()
                usage = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": COMPLETION_TOKENS}
                if reply.status == 200 and not reply.stream:
                    message = {"role": "assistant", "content": reply.text}
                    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
                    content = json.dumps({"model": "scripted", "choices": choices, "usage": usage}).encode()
                elif reply.status == 200:
                    chunks = [
                        {"model": "scripted", "choices": [{"index": 0, "delta": {"content": reply.text}}]},
                        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                    ]
                    if reply.usage:
                        chunks.append({"choices": [], "usage": usage})
                    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
                    kind, content = "text/event-stream", (lines + "data: [DONE]\n\n").encode()
                try:
                    self.send_response(reply.status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(content)))
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client gave up, as some tests want

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedJudge:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def arguments(self, *more: str) -> list[str]:
        """The part of a command line that names this judge."""
        where = "judge.model.endpoint"
        return ["judge/model=[endpoint]", f"{where}.name=scripted", f"{where}.base_url={self.url}", *more]
