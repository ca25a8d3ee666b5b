"""Throughput, time to first token and latency on real vLLM (CPU): ours beside guidellm's and `vllm bench serve`'s.

    python benchmarks/peers.py [--requests 96] [--rate 8] [--concurrency 4] [--rounds 3]

vLLM runs on the CPU in the environment `vllm_cpu` (built if it is missing: 3 GB) with the demo model, prefix and
picture caches off. The three programs take turns with the same requests (pictures included, greedy, streamed): a closed
load, a constant rate, and random times. Ratios are medians over the rounds of ours divided by theirs in the same round.
Ours may differ by 5%; at random times each program draws its own, so that there the 95th percentiles are shown only.
Ends with 1 where a limit is missed or nothing could be measured. About eleven minutes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from parts import peers
from parts.limits import Limit, tell
from parts.planned import VLLM_ON_A_CPU, job
from parts.table import show

from backends.api import EngineFailed
from backends.process.environments import cache_dir
from backends.process.server import start
from runner.planning import environments

BORNE = 0.05
KINDS = ("closed", "constant", "poisson")
PROGRAMS = ("ours", "guidellm", "vllm bench serve")


def compared(kind: str, name: str) -> bool:
    """Return whether a figure of a load has a limit: at random times the longest waits depend on the times drawn."""
    return not (kind == "poisson" and "p95" in name)


def limits(found: dict[tuple[str, str], list[peers.Reported]]) -> list[Limit]:
    """Return how far each figure of ours is from that of each other program: median over the rounds."""
    told = []
    for (kind, program), theirs in found.items():
        if program == "ours":
            continue
        ours = found[kind, "ours"]
        for name in filter(lambda name: compared(kind, name), peers.FIGURES):
            ratios = [one.figures[name] / other.figures[name] for one, other in zip(ours, theirs, strict=True)]
            off = abs(statistics.median(ratios) - 1)
            told.append(Limit(f"{name}, {kind}: ours differs from {program}'s by this share", off, "<=", BORNE))
    return told


def main() -> int:
    """Measure, print, and return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--rate", type=float, default=8)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[tuple[str, str], list[peers.Reported]] = defaultdict(list)
    planned = job(*VLLM_ON_A_CPU)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            guidellm = peers.guidellm_environment(cache_dir() / "bench_guidellm")
            environment = environments.resolve(planned.config)
            log = folder / "engine.log"
            engine = start(planned.backend, planned.spec, log_path=log, timeout_s=600, environment=environment)
        except (EngineFailed, peers.PeerFailed) as error:
            return tell([Limit("ours beside guidellm and vllm bench serve", None, "<=", BORNE, why=str(error))])
        target = peers.Target(engine.endpoint.url, engine.endpoint.model, engine.endpoint.api_key)
        try:
            asked = peers.bodies(target, peers.Load("closed", arguments.requests))
            peers.ours(target, peers.Load("closed", len(asked), arguments.concurrency), folder / "warm")
            for number in range(arguments.rounds):
                for kind in KINDS:
                    load = peers.Load(kind, len(asked), arguments.concurrency, arguments.rate)
                    at = folder / f"{number}-{kind}"
                    found[kind, "ours"].append(peers.ours(target, load, at / "ours"))
                    found[kind, "guidellm"].append(peers.guidellm(guidellm, target, load, asked, at / "guidellm"))
                    bench = peers.vllm_bench(environment, target, load, asked, at / "vllm")
                    found[kind, "vllm bench serve"].append(bench)
                    print(f"-- round {number + 1}, {load}; load average {os.getloadavg()[0]:.1f}")
                    show({program: found[kind, program][-1].figures for program in PROGRAMS})
        finally:
            engine.close()
    for kind in KINDS:
        print(f"== {kind}, medians of {arguments.rounds}")
        show({program: medians(found[kind, program]) for program in PROGRAMS})
    return tell(limits(found))


def medians(rounds: list[peers.Reported]) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    return {name: statistics.median(one.figures[name] for one in rounds) for name in peers.FIGURES}


if __name__ == "__main__":
    sys.exit(main())
