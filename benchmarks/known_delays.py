"""Every figure of speed on an endpoint whose times are known; what guidellm and `vllm bench serve` report there.

    python benchmarks/known_delays.py [--requests 96] [--rate 8] [--concurrency 4] [--only-ours]
                                       [--spread-ms 80] [--rounds 3]

The endpoint streams ten tokens at fixed times and records when it sent each. The first one comes after 120 to 200 ms,
so that percentiles differ and answers end at different times. With --spread-ms 0 all requests of a closed load begin
and end together, and on two cores the last of them waits for the others.

Our command asks it in a closed, a constant and a random load. Each of its figures may differ from the same figure of
the endpoint's records of that run by 3 ms or 1%, whichever is wider; the time per token by 3 ms over all tokens of an
answer. The limit is on the median over the rounds. The other two programs are shown in the first round, for comparison;
they have no limit here. About six minutes, three without them.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from parts import guidellm, peers, timed_endpoint
from parts.limits import Limit, tell
from parts.table import show

from backends.api import EngineFailed
from backends.process.environments import cache_dir

PIECES = 10
MS, SHARE = 3.0, 0.01


def true_figures(records: Sequence[Sequence[float]], load: peers.Load) -> dict[str, float]:
    """Return the figures as the endpoint's records have them, by the names of peers.FIGURES.

    Requests/s of an open load are those that ended until one more request would have been due, as ours are.
    """
    times = np.array(records)
    begin, end = times[:, 0].min(), times[:, -1].max()
    ended = len(times)
    if load.kind != "closed":
        end = begin + load.count / load.rate
        ended = int((times[:, -1] < end).sum())
    rate = ended / (end - begin)
    first, whole = 1000 * (times[:, 1] - times[:, 0]), 1000 * (times[:, -1] - times[:, 0])
    per_token = (whole - first) / (PIECES - 1)
    figures = {"requests/s": rate, "output tokens/s": rate * PIECES}
    for name, values in (("TTFT", first), ("latency", whole)):
        figures |= {f"{name} p{p}, ms": float(np.percentile(values, p)) for p in (50, 95)}
    return figures | {"time per output token p50, ms": float(np.percentile(per_token, 50))}


def distances(found: peers.Reported, truth: dict[str, float], load: peers.Load) -> dict[str, float]:
    """Return how far each figure is from the truth, as a share of what is borne."""
    told = {}
    for name, true in truth.items():
        # The end of a random load depends on its times, of which the records know nothing.
        if load.kind == "poisson" and name.endswith("/s"):
            continue
        borne = SHARE * true
        if name.endswith("ms"):
            borne = max(borne, MS / (PIECES - 1) if name.startswith("time per") else MS)
        told[f"{name}, {load}"] = abs(found.figures[name] - true) / borne
    return told


def main() -> int:
    """Measure, print, and return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--rate", type=float, default=8)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--spread-ms", type=float, default=80)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    off: dict[str, list[float]] = defaultdict(list)
    script = timed_endpoint.Script(spread_ms=arguments.spread_ms, pieces=PIECES)
    with tempfile.TemporaryDirectory() as name, timed_endpoint.running(script) as url:
        target = peers.Target(f"{url}/v1", "model")
        asked = peers.bodies(target, peers.Load("closed", arguments.requests))
        command = environment = None
        if not arguments.only_ours:
            try:
                command = guidellm.environment(cache_dir() / "bench_guidellm")
                environment = peers.vllm_environment()
            except (peers.PeerFailed, EngineFailed) as error:
                print(f"only ours is measured from here: {error}")
        for number, kind in itertools.product(range(arguments.rounds), ("closed", "constant", "poisson")):
            load = peers.Load(kind, len(asked), arguments.concurrency, arguments.rate)
            folder = Path(name) / f"{number}-{kind}"
            programs: dict[str, Callable[[], peers.Reported]] = {
                "ours": lambda load=load, folder=folder: peers.ours(target, load, folder / "ours"),
            }
            if command is not None and number == 0:
                programs["guidellm"] = lambda load=load, folder=folder: guidellm.run(
                    command, target, load, asked, folder / "guidellm"
                )
            if environment is not None and number == 0:
                programs["vllm bench serve"] = lambda load=load, folder=folder: peers.vllm_bench(
                    environment, target, load, asked, folder / "vllm"
                )
            print(f"-- {load}; in brackets the endpoint's own records of the same run")
            columns: dict[str, dict[str, float]] = {}
            for program, run in programs.items():
                timed_endpoint.records(url)
                found = run()
                truth = true_figures(timed_endpoint.records(url), load)  # no program warms up: all are measured
                columns |= {program: dict(found.figures), f"({program})": truth}
                if program == "ours":
                    for what, share in distances(found, truth, load).items():
                        off[what].append(share)
            show(columns)
    words = f"distance from the truth, as a share of {MS:g} ms or {SHARE:.0%}"
    return tell(Limit(f"{what}: {words}", statistics.median(shares), "<=", 1.0) for what, shares in off.items())


if __name__ == "__main__":
    sys.exit(main())
