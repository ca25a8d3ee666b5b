"""An endpoint on this machine that answers every question the same way, after a delay, and keeps account of it.

python benchmarks/parts/endpoint.py --delay-ms 50      prints its port, runs until its input ends
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from aiohttp import web
from PIL import Image

ANSWER = "Иванов"


@contextlib.contextmanager
def running(delay_ms: float) -> Iterator[str]:
    """Run the endpoint as a process of its own; yield its address, without /v1."""
    command = [sys.executable, __file__, "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def account(url: str, *, reset: bool = False) -> dict[str, Any]:
    """Return what came since the last reset: `count` answers, `first` arrival and `last` answer in Unix time."""
    with urlopen(f"{url}/{'reset' if reset else 'account'}") as response:
        found: dict[str, Any] = json.loads(response.read())
    return found


def jpeg(kilobytes: int) -> bytes:
    """Return a picture of noise of about so many kB, 1024 x 768 unless it is smaller than 50 kB."""
    width, height = (1024, 768) if kilobytes >= 50 else (384, 256)
    noise = Image.frombytes("L", (width, height), random.Random(0).randbytes(width * height)).convert("RGB")
    for quality in range(95, 5, -1):
        target = io.BytesIO()
        noise.save(target, "JPEG", quality=quality)
        if target.tell() <= kilobytes * 1000:
            break
    found = target.getvalue()
    return found + b"\0" * max(0, kilobytes * 1000 - len(found) - 8)


def pictures(folder: Path, count: int, kilobytes: int) -> list[str]:
    """Write so many different JPEGs of a size; return their names."""
    picture = jpeg(kilobytes)
    names = [f"{number}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(picture + number.to_bytes(8, "big"))  # behind the picture's end: ignored
    return names


def serve(delay_s: float) -> None:
    """Answer each chat completion after a delay. `/account`, `/reset`: what came; `/sent`: the first bodies."""
    chunks = (
        {"model": "model", "choices": [{"index": 0, "delta": {"content": ANSWER}, "finish_reason": None}]},
        {"model": "model", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": 4}},
    )
    answer = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"
    came: dict[str, Any] = {"count": 0}
    bodies: list[bytes] = []

    async def complete(request: web.Request) -> web.StreamResponse:
        came.setdefault("first", time.time())
        body = await request.read()
        if len(bodies) < 50:
            bodies.append(body)
        if delay_s:
            await asyncio.sleep(delay_s)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(answer)
        await response.write_eof()
        came["count"] += 1
        came["last"] = time.time()
        return response

    async def tell(request: web.Request) -> web.Response:
        text = json.dumps(came)
        if request.path == "/reset":
            came.clear()
            came["count"] = 0
        return web.Response(text=text)

    async def sent(_request: web.Request) -> web.Response:
        return web.Response(body=b"\n".join(bodies))

    async def main() -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", complete)
        app.router.add_get("/v1/models", lambda _: web.json_response({"data": [{"id": "model"}]}))
        app.router.add_get("/account", tell)
        app.router.add_get("/reset", tell)
        app.router.add_get("/sent", sent)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the benchmark ends

    asyncio.run(main())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay-ms", type=float, default=50)
    serve(parser.parse_args().delay_ms / 1000)
