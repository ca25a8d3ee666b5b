"""How long a test waits before it calls something hung.

No test asserts how fast anything is: speed is a ratio, measured in one run by benchmarks/. A time-out here only ends
what would never end, so it is generous, and it grows with how slow this machine is at this moment.
"""

from __future__ import annotations

import functools
import time

# What `_work` takes on an idle core of the machine that the numbers in the tests were written for.
NOMINAL_S = 0.05
GENEROUS = 5.0


def _work() -> int:
    return sum(number * number % 7 for number in range(600_000))


@functools.cache
def slowness() -> float:
    """Return how many times slower than the nominal machine this one is now, at least 1; wall time, so load counts."""
    began = time.monotonic()
    _work()
    return max(1.0, (time.monotonic() - began) / NOMINAL_S)


def patient(seconds: float) -> float:
    """Return the time-out in seconds to use on this machine where `seconds` are ample on the nominal one."""
    return seconds * GENEROUS * slowness()
