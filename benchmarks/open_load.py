"""How late the requests of an open load leave, and whether its latency is that of an endpoint with a known delay.

    python benchmarks/open_load.py [--rate 500] [--seconds 6] [--delay-ms 200]

The endpoint runs in a process of its own. The lateness is that of short questions at `--rate` a second. The latency is
measured at a tenth of that rate, where neither side is busy: its median beside the delay, of which the wider of 3 ms
and 1 % is borne. CPU per request is that of this process. Not compared with other programs yet.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import itertools
import resource
from collections.abc import Sequence

import numpy as np
from parts import endpoint
from parts.limits import Limit, tell

from backends.api import Endpoint, Generation, GenerationRequest, Message, TextPart
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


def main() -> int:
    """Measure, print, and return 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--delay-ms", type=float, default=200)
    arguments = parser.parse_args()
    delay_s = arguments.delay_ms / 1000
    with endpoint.running(arguments.delay_ms) as url:
        late, _, cpu_s = timings(url, arguments.rate, int(arguments.rate * arguments.seconds))
        _, latency, _ = timings(url, arguments.rate / 10, int(arguments.rate / 10 * arguments.seconds))
    p50, p99 = (1000 * float(np.percentile(late, p)) for p in (50, 99))
    print(f"at {arguments.rate:g} requests/s late by {p50:.2f} ms (median), {1000 * cpu_s:.2f} ms of CPU a request")
    off = abs(float(np.median(latency)) - delay_s)
    return tell(
        [
            Limit(f"ms that requests leave late at {arguments.rate:g} a second, p99", p99, "<", 5.0),
            Limit("ms by which the median latency differs from the delay", 1000 * off, "<=", max(3.0, 10 * delay_s)),
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
