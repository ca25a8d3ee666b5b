"""An endpoint on this machine that streams each answer at known times, and records when it sent each piece.

python benchmarks/parts/timed_endpoint.py --first-ms 120 --between-ms 15 --pieces 10    prints its port

The times are planned from the moment when a request came: the first piece after `first-ms`, each next one after
`between-ms`. What it truly did is recorded on the machine's monotonic clock, since a busy machine wakes it later.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from aiohttp import web

RECORDS = web.AppKey("records", list)


@dataclass(frozen=True)
class Script:
    """Milliseconds to the first piece and between pieces, and how many there are; each piece is one token."""

    first_ms: float = 120
    between_ms: float = 15
    pieces: int = 10


@contextlib.contextmanager
def running(script: Script) -> Iterator[str]:
    """Run the endpoint as a process of its own; yield its address, without /v1."""
    words = ["--first-ms", script.first_ms, "--between-ms", script.between_ms, "--pieces", script.pieces]
    command = [sys.executable, __file__, *map(str, words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def records(url: str) -> list[list[float]]:
    """Return, for each answer since the last call: when its request came, and when each piece was sent. Seconds."""
    with urlopen(f"{url}/records") as response:
        found: list[list[float]] = json.loads(response.read())
    return found


def application(script: Script) -> web.Application:
    """Return the server; `app[RECORDS]` is what `records` returns."""
    kept: list[list[float]] = []

    def event(content: Any) -> bytes:
        return f"data: {json.dumps(content)}\n\n".encode()

    def chunk(text: str | None, finish: str | None = None) -> bytes:
        delta = {} if text is None else {"content": text}
        return event({"model": "model", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    usage = event({"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": script.pieces}})

    async def complete(request: web.Request) -> web.StreamResponse:
        clock = asyncio.get_running_loop().time  # time.monotonic(), the same for all processes of a machine
        came = clock()
        await request.read()
        times = [came]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(script.pieces):
            due = came + (script.first_ms + number * script.between_ms) / 1000
            await asyncio.sleep(max(0.0, due - clock()))
            last = number == script.pieces - 1
            times.append(clock())
            await response.write(chunk("а", "stop" if last else None))
        await response.write(usage + b"data: [DONE]\n\n")
        await response.write_eof()
        kept.append(times)
        return response

    async def tell(_request: web.Request) -> web.Response:
        text = json.dumps(kept)
        kept.clear()
        return web.Response(text=text)

    async def models(_request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "model"}]})

    app = web.Application(client_max_size=2**28)
    app[RECORDS] = kept
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/records", tell)
    return app


async def serve(script: Script) -> None:
    """Serve until the input ends."""
    runner = web.AppRunner(application(script), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-ms", type=float, default=Script.first_ms)
    parser.add_argument("--between-ms", type=float, default=Script.between_ms)
    parser.add_argument("--pieces", type=int, default=Script.pieces)
    arguments = parser.parse_args()
    asyncio.run(serve(Script(arguments.first_ms, arguments.between_ms, arguments.pieces)))
