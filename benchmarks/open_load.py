"""How late the requests of an open load leave, and whether its latency is that of an endpoint with a known delay.

    python benchmarks/open_load.py [--rate 500] [--seconds 6] [--delay-ms 200] [--only-ours]

The endpoint runs in a process of its own. The lateness is that of short questions at `--rate` a second. The latency is
measured at a tenth of that rate, where neither side is busy: its median beside that of the endpoint's own records, of
which the wider of 3 ms and 1% is borne. guidellm 0.8.1 then sends as many short questions at the same rate to the same
endpoint: how late they left by its own account, and what CPU time a request costs it, which is that of a run of all
requests less that of a run of a tenth of them, so that its start counts for neither. Ours is that of this process.
About two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import itertools
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from parts import guidellm, peers, timed_endpoint
from parts.limits import Limit, tell

from backends.api import Endpoint, Generation, GenerationRequest, Message, TextPart
from backends.process.environments import cache_dir
from runner.asking.load import Ask
from runner.asking.open_load import OpenTally, open_load
from runner.planning.arrivals import Arrivals


def timings(url: str, rate: float, count: int) -> tuple[Sequence[float], Sequence[float], float]:
    """Return lateness and latency of each request in seconds, and the CPU seconds of this process per request."""
    late: list[float] = []
    latency: list[float] = []

    def keep(_ask: Ask, generation: Generation) -> None:
        assert generation.error is None and generation.timing is not None, generation.error
        late.append(generation.timing.late_s or 0.0)
        latency.append(generation.timing.latency_s)

    def build(number: int) -> GenerationRequest:
        return GenerationRequest(str(number), (Message("user", (TextPart(f"question {number}"),)),))

    asks = (Ask(str(number), str(number), 0, functools.partial(build, number)) for number in range(count))
    arrivals = Arrivals("constant", count, 0.0, 10_000, lambda: (number / rate for number in itertools.count()))
    begin = resource.getrusage(resource.RUSAGE_SELF)
    asyncio.run(
        open_load(
            asks, [Endpoint(f"{url}/v1", "model")], OpenTally(), arrivals,
            retries=0, timeout_s=60, alive=lambda: True, on_answer=keep,
        )
    )  # fmt: skip
    end = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
    return late, latency, cpu_s / count


def of_guidellm(url: str, rate: float, count: int) -> tuple[Sequence[float], float]:
    """Return how late guidellm's requests left, in ms, and its CPU seconds per request without its start."""
    command = guidellm.environment(cache_dir() / "bench_guidellm")
    found: dict[int, peers.Reported] = {}
    with tempfile.TemporaryDirectory() as name:
        for number in (count // 10, count):
            bodies = [
                {"messages": [{"role": "user", "content": f"question {one}"}], "max_tokens": 64}
                for one in range(number)
            ]
            load = peers.Load("constant", number, rate=rate)
            target = peers.Target(f"{url}/v1", "model")
            found[number] = guidellm.run(command, target, load, bodies, Path(name) / str(number))
    few, many = found[count // 10], found[count]
    return many.late_ms, (many.cpu_s - few.cpu_s) / (count - count // 10)


def main() -> int:
    """Measure, print, and return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--delay-ms", type=float, default=200)
    parser.add_argument("--only-ours", action="store_true")
    arguments = parser.parse_args()
    count = int(arguments.rate * arguments.seconds)
    theirs: tuple[Sequence[float], float] | None = None
    why = "left out by --only-ours"
    with timed_endpoint.running(timed_endpoint.Script(first_ms=arguments.delay_ms, pieces=1)) as url:
        late, _, cpu_s = timings(url, arguments.rate, count)
        timed_endpoint.records(url)
        _, latency, _ = timings(url, arguments.rate / 10, int(arguments.rate / 10 * arguments.seconds))
        true_s = float(np.median([times[-1] - times[0] for times in timed_endpoint.records(url)]))
        if not arguments.only_ours:
            try:
                theirs = of_guidellm(url, arguments.rate, count)
            except peers.PeerFailed as error:
                why = str(error)
    p50, p99 = (1000 * float(np.percentile(late, p)) for p in (50, 99))
    print(f"at {arguments.rate:g} requests/s late by {p50:.2f} ms (median), {1000 * cpu_s:.2f} ms of CPU a request")
    if theirs is not None:
        theirs_p50, theirs_p99 = (float(np.percentile(theirs[0], p)) for p in (50, 99))
        print(f"guidellm: {theirs_p50:.2f} ms (median), {theirs_p99:.2f} ms (p99), {1000 * theirs[1]:.2f} ms of CPU")
    off = abs(float(np.median(latency)) - true_s)
    return tell(
        [
            Limit(f"ms that requests leave late at {arguments.rate:g} a second, p99", p99, "<", 5.0),
            Limit(
                "ms by which the median latency differs from the endpoint's", 1000 * off, "<=", max(3.0, 10 * true_s)
            ),
            Limit("CPU a request beside guidellm's", theirs and cpu_s / theirs[1], "<=", 1 / 3, why=why),
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
