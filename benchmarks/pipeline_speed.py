"""How much of a fast endpoint's speed the runner passes on: the whole pipeline beside a bare aiohttp client.

    python benchmarks/pipeline_speed.py [--samples 2000] [--concurrency 8,16,64] [--delay-ms 50] [--rounds 3]
                                        [--before FOLDER]

A local endpoint answers each request after a delay. `python -m runner` asks it about so many different pictures (read
from disk, hashed, encoded, streamed, stored, scored); a bare client sends bodies that the runner sent. Rates are
taken by the endpoint: from the first request's arrival to the last answer's end. Both run three times per concurrency,
in turns; only ratios are compared with limits, since they are the same on other machines. With `--before`, a checkout
of an earlier build, that build takes its turns, too. About 2 minutes; exits 1 where one line falls short.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import aiohttp
from parts import builds, endpoint
from parts.limits import Limit, tell

# Share of the bare client's requests/s by concurrency; times its CPU a sample, and its seconds to the first request.
SHARES = {8: 0.9, 16: 0.85, 64: 0.85}
TIMES_CPU, TIMES_FIRST = 3.0, 4.0


# ------------------------------------------------------------------------------------------------- the two clients


@dataclass(frozen=True)
class Run:
    """What one client reached: requests/s by the endpoint's clock, CPU ms per request, seconds to the first request."""

    per_s: float
    cpu_ms: float
    first_s: float

    def __str__(self) -> str:
        return f"{self.per_s:.0f} requests/s, {self.cpu_ms:.2f} ms CPU a sample, first after {self.first_s:.2f} s"


def measured(url: str, samples: int, command: list[str], folder: Path, checkout: Path = builds.HERE) -> Run:
    """Run a client as a process of its own, and ask the endpoint what it saw."""
    endpoint.account(url, reset=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    environment = builds.environment(checkout) | {"RUNNER_STORE": str(folder / "store"), "OPENAI_API_KEY": "k" * 32}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    account = endpoint.account(url)
    if done.returncode or account["count"] < samples:
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


def questions(folder: Path, samples: int, image_kb: int) -> Path:
    """Write so many different pictures and the JSONL that asks about them."""
    rows = [
        {"id": name, "images": [name], "question": "Какая фамилия?", "references": [endpoint.ANSWER]}
        for name in endpoint.pictures(folder, samples, image_kb)
    ]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    return folder / "rows.jsonl"


# ------------------------------------------------------------------------------------------------- the table


def compare(url: str, arguments: argparse.Namespace, folder: Path) -> list[Limit]:
    """Measure both at each concurrency, in turns, and return the figures with their limits."""
    path, samples = questions(folder, arguments.samples, arguments.image_kb), arguments.samples
    job = ["model=openai", "model.name=model", f"backend.base_url={url}/v1", "dataset=jsonl", f"dataset.path={path}"]
    job += ["metrics=[exact_match]", "tracking=none", "warmup=0", "reuse=never"]
    job += ["backend.api_key_variable=OPENAI_API_KEY"]
    limits, first = [], []
    for concurrency in (int(word) for word in arguments.concurrency.split(",")):
        command = [sys.executable, "-m", "runner", *job, f"concurrency={concurrency}"]
        own = [sys.executable, __file__, "--bare", url, "--samples", str(samples), "--concurrency", str(concurrency)]
        pairs = []
        for _ in range(arguments.rounds):
            if arguments.before:
                older = [builds.python(arguments.before), *command[1:]]
                print(f"before: {measured(url, samples, older, folder, arguments.before)}", flush=True)
            pairs.append((measured(url, samples, command, folder), measured(url, samples, own, folder)))
            print(f"concurrency {concurrency:3}: runner {pairs[-1][0]}; bare aiohttp {pairs[-1][1]}", flush=True)
        share = statistics.median(ours.per_s / theirs.per_s for ours, theirs in pairs)
        times = statistics.median(ours.cpu_ms / theirs.cpu_ms for ours, theirs in pairs)
        first += [ours.first_s / theirs.first_s for ours, theirs in pairs]
        least = SHARES.get(concurrency, 0.8)
        limits += [
            Limit(f"requests/s beside a bare client at concurrency {concurrency}", share, ">=", least),
            Limit(f"times the bare client's CPU a sample at concurrency {concurrency}", times, "<=", TIMES_CPU),
        ]
    what = "times the bare client's seconds from the start to the first request"
    limits.append(Limit(what, statistics.median(first), "<=", TIMES_FIRST))
    return limits


def main() -> int:
    """Start the endpoint, measure, print; return 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--concurrency", default="8,16,64")
    parser.add_argument("--delay-ms", type=float, default=50)
    parser.add_argument("--image-kb", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3, help="of both clients in turns; the medians count")
    builds.add_option(parser)
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        bodies = urlopen(f"{arguments.bare}/sent").read().split(b"\n")
        bare(arguments.bare, bodies, arguments.samples, int(arguments.concurrency))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="pipeline-speed-"))
    try:
        with endpoint.running(arguments.delay_ms) as url:
            return tell(compare(url, arguments, folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
