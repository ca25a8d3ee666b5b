"""Tiny checkpoints, and a real server process to ask over HTTP."""

from __future__ import annotations

import base64
import http.client
import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.patience import patient

SOURCE = Path(__file__).parents[3] / "src"
KEY = "a-key-for-tests"


class Server:
    """A server process. `health` are the distinct answers of /health until it was ready or gone."""

    def __init__(self, *flags: str, log: Path):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "backends.hf_server", "--port", str(self.port), "--threads", "1", *flags]
        variables = {**os.environ, "PYTHONPATH": str(SOURCE), "RUNNER_ENGINE_KEY": KEY}
        self.log = log
        self.health: list[tuple[int, dict[str, Any]]] = []
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, env=variables, stderr=stream, stdout=stream, cwd="/")

    def wait(self, timeout_s: float = 90) -> None:
        """Poll /health until it says ready or the process ends."""
        end = time.monotonic() + patient(timeout_s)
        while time.monotonic() < end and self.process.poll() is None:
            try:
                answer = self.call("GET", "/health", key=None)
            except OSError:
                answer = None
            if answer is not None and answer not in self.health:
                self.health.append(answer)
            if answer is not None and answer[0] == 200:
                return
            time.sleep(0.03)
        if self.process.poll() is None:
            raise TimeoutError(self.log.read_text())

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = KEY) -> tuple[int, Any]:
        """One request; returns the status and the decoded JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def ask(self, content: Any = "Hello", **values: Any) -> tuple[int, Any]:
        """One chat completion, greedy unless said otherwise."""
        return self.call("POST", "/v1/chat/completions", request(content, **values))

    def text(self, content: Any = "Hello", **values: Any) -> str:
        """The text of one answer."""
        status, body = self.ask(content, **values)
        assert status == 200, body
        return body["choices"][0]["message"]["content"]

    def open_stream(self, content: Any = "Hello", **values: Any) -> http.client.HTTPResponse:
        """Begin a streamed chat completion. Closing the response hangs up."""
        values = {"stream": True, "stream_options": {"include_usage": True}, **values}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}", "Connection": "close"}
        connection.request("POST", "/v1/chat/completions", json.dumps(request(content, **values)), headers)
        return connection.getresponse()

    def stream(self, content: Any = "Hello", **values: Any) -> list[dict[str, Any]]:
        """The chunks of one streamed answer."""
        response = self.open_stream(content, **values)
        assert response.status == 200, response.read()
        lines = response.read().decode().split("\n\n")
        assert lines[-2:] == ["data: [DONE]", ""]
        return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]

    def statistics(self) -> dict[str, Any]:
        """The server's own account."""
        status, body = self.call("GET", "/statistics")
        assert status == 200, body
        return body

    def stop(self) -> int:
        """Send SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(patient(5))
        finally:
            self.process.kill()


def request(content: Any = "Hello", **values: Any) -> dict[str, Any]:
    """The body of a chat completion with one user turn."""
    values = {"temperature": 0, "max_tokens": 12, **values}
    return {"model": "model", "messages": [{"role": "user", "content": content}], **values}


def picture(width: int = 112, height: int = 84, seed: int = 0, *, text: str = "What?") -> list[dict[str, Any]]:
    """Content of an image of noise and a text."""
    return [image_part(png(width, height, seed)), {"type": "text", "text": text}]


def image_part(data: bytes) -> dict[str, Any]:
    """The part of a message that carries these bytes as an image."""
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def png(width: int, height: int, seed: int = 0) -> bytes:
    """A PNG of noise."""
    import random

    from PIL import Image

    stream = io.BytesIO()
    noise = random.Random(seed).randbytes(width * height * 3)
    Image.frombytes("RGB", (width, height), noise).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


@pytest.fixture(scope="session")
def bodies() -> ModuleType:
    """This module, for its makers of requests: `bodies.picture(...)`."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """The makers of tiny checkpoints; imports torch when used."""
    sys.path.insert(0, str(Path(__file__).parent))
    module = importlib.import_module("tiny_models")
    import torch

    torch.set_num_threads(1)
    return module


@pytest.fixture(scope="session")
def tiny_qwen(tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-VL."""
    return tiny_models.make_qwen(tmp_path_factory.mktemp("models") / "qwen2_vl")


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers; those still there at the end are ended."""
    servers: list[Server] = []

    def start(*flags: str) -> Server:
        server = Server(*flags, log=tmp_path_factory.mktemp("log") / "server.log")
        servers.append(server)
        server.wait()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Server], tiny_qwen: Path) -> Server:
    """The tiny Qwen2-VL behind HTTP, in batches of up to four."""
    server = start_server("--model", str(tiny_qwen), "--batch-size", "4", "--dtype", "float32", "--device", "cpu")
    assert server.process.poll() is None, server.log.read_text()
    return server
