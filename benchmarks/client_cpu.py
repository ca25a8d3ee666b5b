"""What our client costs beside bare aiohttp: CPU per streamed request with a 150 kB image, both in one run.

    python benchmarks/client_cpu.py [--requests 2000] [--concurrency 16] [--image-kb 150] [--tokens 8]

The endpoint runs in a process of its own, so that only the client's CPU is counted. Rounds alternate, so that a busy
machine slows both alike. Prints a table; the ratio is what to compare between machines. Ends with 1 where our client
costs more than 2.5 times the bare one, which encodes no picture and reads no answer. Half a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from parts.limits import Limit, tell

from backends import wire
from backends.api import Endpoint, GenerationRequest, ImagePart, Message, TextPart
from backends.client import Client

ROUNDS = 4
MOST = 2.5  # times the CPU of bare aiohttp


def serve(tokens: int) -> None:
    """Answer every request with a stream of `tokens` chunks; print the port first."""
    chunks = [
        {"id": "chatcmpl-0", "object": "chat.completion.chunk", "model": "model", "choices": [choice]}
        for number in range(tokens)
        for choice in [{"index": 0, "delta": {"content": f"w{number} "}, "token_ids": [number], "finish_reason": None}]
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"choices": [], "usage": {"prompt_tokens": 60, "completion_tokens": tokens}})
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(event)
        await response.write_eof()
        return response

    async def main() -> None:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the benchmark ends

    asyncio.run(main())


async def spend(ask: Callable[[], Awaitable[None]], requests: int, concurrency: int) -> tuple[float, float]:
    """Return CPU seconds of this process and wall seconds per request."""
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            await ask()

    cpu, wall = cpu_s(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return (cpu_s() - cpu) / requests, (time.perf_counter() - wall) / requests


def cpu_s() -> float:
    """Return the CPU seconds that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(port: int, arguments: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Run both clients in turns."""
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", "model", api_key="k" * 32)
    parts = (ImagePart(os.urandom(arguments.image_kb * 1000), "image/jpeg"), TextPart("What is the surname?"))
    request = GenerationRequest("1", (Message("user", parts),))
    body = wire.body(request, endpoint)
    url = f"{endpoint.url}/chat/completions"
    found: dict[str, list[tuple[float, float]]] = {"bare aiohttp": [], "our client": []}
    connector = aiohttp.TCPConnector(limit=arguments.concurrency)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        Client(endpoint, max_connections=arguments.concurrency) as client,
    ):

        async def bare() -> None:  # the same bytes, the answer's lines only counted
            async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                async for _ in response.content.iter_any():
                    pass

        async def ours() -> None:
            generation = await client.ask(request)
            assert generation.completion_tokens == arguments.tokens, generation.error

        for _ in range(ROUNDS):
            for name, ask in (("bare aiohttp", bare), ("our client", ours)):
                share = max(1, arguments.requests // ROUNDS)
                found[name].append(await spend(ask, share, arguments.concurrency))
    return found


def main() -> int:
    """Start the endpoint, measure, print; return 1 where our client costs too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--image-kb", type=int, default=150)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.tokens)
        return 0
    command = [sys.executable, __file__, "--serve", "--tokens", str(arguments.tokens)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        found = asyncio.run(measure(int(server.stdout.readline()), arguments))
        server.terminate()
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}
    print(f"{'':14}{'CPU ms/request':>16}{'requests/s':>12}")
    for name, (cpu, wall) in medians.items():
        print(f"{name:14}{cpu * 1000:16.2f}{1 / wall:12.0f}")
    ratios = [ours / bare for ours, bare in zip(*reversed(medians.values()), strict=True)]
    print(f"{'ratio':14}{ratios[0]:16.2f}{1 / ratios[1]:12.2f}")
    return tell([Limit("times the CPU of bare aiohttp a request, our client", ratios[0], "<=", MOST)])


if __name__ == "__main__":
    sys.exit(main())
