"""Every figure of speed on an endpoint whose times are known; what guidellm and `vllm bench serve` report there.

    python benchmarks/known_delays.py [--requests 96] [--rate 8] [--concurrency 4] [--only-ours]

The endpoint streams ten tokens at fixed times and records when it sent each. Our command asks it in a closed, a
constant and a random load; each of its figures may differ from the same figure of the endpoint's records by 3 ms or 1%,
whichever is wider; the time per token by 3 ms over all tokens of an answer. The other two programs are shown for
comparison and have no limit here. About four minutes, one without them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from parts import guidellm, peers, timed_endpoint
from parts.limits import Limit, tell
from parts.table import show

from backends.api import EngineFailed
from backends.process.environments import cache_dir

SCRIPT = timed_endpoint.Script()
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
    per_token = (whole - first) / (SCRIPT.pieces - 1)
    figures = {"requests/s": rate, "output tokens/s": rate * SCRIPT.pieces}
    for name, values in (("TTFT", first), ("latency", whole)):
        figures |= {f"{name} p{p}, ms": float(np.percentile(values, p)) for p in (50, 95)}
    return figures | {"time per output token p50, ms": float(np.percentile(per_token, 50))}


def limits(found: peers.Reported, truth: dict[str, float], load: peers.Load) -> list[Limit]:
    """Return a limit for each figure: how far it is from the truth, in units of what is borne."""
    told = []
    for name, true in truth.items():
        # The end of a random load depends on its times, of which the records know nothing.
        if load.kind == "poisson" and name.endswith("/s"):
            continue
        borne = SHARE * true
        if name.endswith("ms"):
            borne = max(borne, MS / (SCRIPT.pieces - 1) if name.startswith("time per") else MS)
        off = abs(found.figures[name] - true) / borne
        told.append(Limit(f"{name}, {load}: distance from the truth, of the {borne:.3g} borne", off, "<=", 1.0))
    return told


def main() -> int:
    """Measure, print, and return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--rate", type=float, default=8)
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--only-ours", action="store_true")
    arguments = parser.parse_args()
    told: list[Limit] = []
    with tempfile.TemporaryDirectory() as name, timed_endpoint.running(SCRIPT) as url:
        target = peers.Target(f"{url}/v1", "model")
        asked = peers.bodies(target, peers.Load("closed", arguments.requests))
        command = environment = None
        if not arguments.only_ours:
            try:
                command = guidellm.environment(cache_dir() / "bench_guidellm")
                environment = peers.vllm_environment()
            except (peers.PeerFailed, EngineFailed) as error:
                print(f"only ours is measured from here: {error}")
        for kind in ("closed", "constant", "poisson"):
            load = peers.Load(kind, len(asked), arguments.concurrency, arguments.rate)
            folder = Path(name) / kind
            programs: dict[str, Callable[[], peers.Reported]] = {
                "ours": lambda load=load, folder=folder: peers.ours(target, load, folder / "ours"),
            }
            if command is not None:
                programs["guidellm"] = lambda load=load, folder=folder: guidellm.run(
                    command, target, load, asked, folder / "guidellm"
                )
            if environment is not None:
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
                    told += limits(found, truth, load)
            show(columns)
    return tell(told)


if __name__ == "__main__":
    sys.exit(main())
