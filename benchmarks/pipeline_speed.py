"""How much of a fast endpoint's speed the runner passes on: the whole pipeline beside a bare aiohttp client.

    python benchmarks/pipeline_speed.py [--samples 2000] [--concurrency 8,16,64] [--delay-ms 50] [--image-kb 150]

A local endpoint answers each request after a delay. `python -m runner` asks it about so many different pictures (read
from disk, hashed, encoded, streamed, stored, scored); a bare client sends bodies that the runner sent. Rates are
taken by the endpoint: from the first request's arrival to the last answer's end. Both run once per concurrency, one
after the other; only the ratio is to be compared between machines. Exits 1 where one line falls short.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
from aiohttp import web
from PIL import Image

# Of issue "as fast as the endpoint allows": share of the bare client's requests/s by concurrency, and the other limits.
SHARES = {8: 0.9, 16: 0.8, 64: 0.8}
CPU_MS, FIRST_REQUEST_S = 3.0, 2.5


# ------------------------------------------------------------------------------------------------- the endpoint


def serve(delay_s: float) -> None:
    """Answer each chat completion after a delay; `GET /reset` returns the account of what came since the last one."""
    answer = (
        "".join(
            f"data: {json.dumps(chunk)}\n\n"
            for chunk in (
                {"model": "model", "choices": [{"index": 0, "delta": {"content": "Иванов"}, "finish_reason": None}]},
                {"model": "model", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                {"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": 4}},
            )
        ).encode()
        + b"data: [DONE]\n\n"
    )
    account: dict[str, Any] = {}
    bodies: list[bytes] = []

    async def complete(request: web.Request) -> web.StreamResponse:
        account.setdefault("first", time.time())
        body = await request.read()
        if len(bodies) < 50:
            bodies.append(body)
        if delay_s:
            await asyncio.sleep(delay_s)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(answer)
        await response.write_eof()
        account["count"] = account.get("count", 0) + 1
        account["last"] = time.time()
        return response

    async def reset(_request: web.Request) -> web.Response:
        text = json.dumps(account)
        account.clear()
        return web.Response(text=text)

    async def sent(_request: web.Request) -> web.Response:
        return web.Response(body=b"\n".join(bodies))

    async def main() -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", complete)
        app.router.add_get("/v1/models", lambda _: web.json_response({"data": [{"id": "model"}]}))
        app.router.add_get("/reset", reset)
        app.router.add_get("/sent", sent)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the benchmark ends

    asyncio.run(main())


# ------------------------------------------------------------------------------------------------- the two clients


@dataclass(frozen=True)
class Run:
    """What one client reached: requests/s by the endpoint's clock, CPU ms per request, seconds to the first request."""

    per_s: float
    cpu_ms: float
    first_s: float


def measured(url: str, samples: int, command: list[str], folder: Path) -> Run:
    """Run a client as a process of its own, and ask the endpoint what it saw."""
    urlopen(f"{url}/reset").read()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    environment = os.environ | {"RUNNER_STORE": str(folder / "store"), "OPENAI_API_KEY": "k" * 32}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    account = json.loads(urlopen(f"{url}/reset").read())
    if done.returncode or account.get("count", 0) < samples:
        raise SystemExit(f"{' '.join(command)} failed after {account}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(account["count"] / (account["last"] - account["first"]), cpu / samples * 1000, account["first"] - began)


def bare(url: str, bodies: list[bytes], requests: int, concurrency: int) -> None:
    """Send bodies that were sent before, and read what comes."""

    async def main() -> None:
        left = iter(range(requests))
        headers = {"Content-Type": "application/json"}
        connector = aiohttp.TCPConnector(limit=concurrency)

        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def worker() -> None:
                for number in left:
                    body = bodies[number % len(bodies)]
                    async with session.post(f"{url}/v1/chat/completions", data=body) as response:
                        async for _ in response.content.iter_any():
                            pass

            await asyncio.gather(*(worker() for _ in range(concurrency)))

    asyncio.run(main())


def pictures(folder: Path, samples: int, image_kb: int) -> Path:
    """Write so many different JPEGs and the JSONL that asks about them."""
    noise = Image.frombytes("L", (1024, 768), random.Random(0).randbytes(1024 * 768)).convert("RGB")
    for quality in range(95, 5, -1):
        target = io.BytesIO()
        noise.save(target, "JPEG", quality=quality)
        if target.tell() <= image_kb * 1000:
            break
    jpeg = target.getvalue()
    jpeg += b"\0" * max(0, image_kb * 1000 - len(jpeg) - 8)
    rows = []
    for number in range(samples):
        (folder / f"{number}.jpg").write_bytes(jpeg + number.to_bytes(8, "big"))  # behind the picture's end: ignored
        row = {"id": str(number), "images": [f"{number}.jpg"], "question": "Какая фамилия?", "references": ["Иванов"]}
        rows.append(json.dumps(row, ensure_ascii=False))
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder / "rows.jsonl"


# ------------------------------------------------------------------------------------------------- the table


def compare(url: str, arguments: argparse.Namespace, folder: Path) -> bool:
    """Measure both at each concurrency and print a line for each limit; return whether all hold."""
    rows = pictures(folder, arguments.samples, arguments.image_kb)
    lines: list[tuple[str, float, str, bool]] = []
    job = ["model=openai", "model.name=model", f"backend.base_url={url}/v1", "dataset=jsonl", f"dataset.path={rows}"]
    job += [
        "metrics=[exact_match]",
        "tracking=none",
        "warmup=0",
        "reuse=never",
        "backend.api_key_variable=OPENAI_API_KEY",
    ]
    for concurrency in (int(word) for word in arguments.concurrency.split(",")):
        command = [sys.executable, "-m", "runner", *job, f"concurrency={concurrency}"]
        ours = measured(url, arguments.samples, command, folder)
        own = [sys.executable, __file__, "--bare", url, "--samples", str(arguments.samples)]
        theirs = measured(url, arguments.samples, [*own, "--concurrency", str(concurrency)], folder)
        share, least = ours.per_s / theirs.per_s, SHARES.get(concurrency, 0.8)
        print(
            f"concurrency {concurrency:3}: runner {ours.per_s:6.0f} requests/s, {ours.cpu_ms:.2f} ms CPU a sample,"
            f" first request after {ours.first_s:.2f} s;"
            f" bare aiohttp {theirs.per_s:6.0f} requests/s, {theirs.cpu_ms:.2f} ms",
            flush=True,
        )
        lines.append(
            (f"requests/s beside a bare client at concurrency {concurrency}", share, f">= {least}", share >= least)
        )
        lines.append(
            (f"CPU ms a sample at concurrency {concurrency}", ours.cpu_ms, f"<= {CPU_MS}", ours.cpu_ms <= CPU_MS)
        )
        if len(lines) == 2:
            first = ours.first_s
            lines.append(
                ("seconds from the start to the first request", first, f"< {FIRST_REQUEST_S}", first < FIRST_REQUEST_S)
            )
    for what, value, limit, holds in lines:
        print(f"{'pass' if holds else 'FALLS SHORT':12} {what}: {value:.2f} ({limit})")
    return all(holds for *_, holds in lines)


def main() -> None:
    """Start the endpoint, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--concurrency", default="8,16,64")
    parser.add_argument("--delay-ms", type=float, default=50)
    parser.add_argument("--image-kb", type=int, default=150)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.delay_ms / 1000)
        return
    if arguments.bare:
        bodies = urlopen(f"{arguments.bare}/sent").read().split(b"\n")
        bare(arguments.bare, bodies, arguments.samples, int(arguments.concurrency))
        return
    command = [sys.executable, __file__, "--serve", "--delay-ms", str(arguments.delay_ms)]
    folder = Path(tempfile.mkdtemp(prefix="pipeline-speed-"))
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            try:
                holds = compare(url, arguments, folder)
            finally:
                server.terminate()
    finally:
        shutil.rmtree(folder)
    raise SystemExit(0 if holds else 1)


if __name__ == "__main__":
    main()
