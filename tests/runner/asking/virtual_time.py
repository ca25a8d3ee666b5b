"""A clock for tests of loads: time passes only while everything waits, so that a queue is exact on any machine."""

import asyncio
import contextlib
import math
import selectors
from collections.abc import Callable, Iterator
from unittest import mock

from runner.asking import open_load

LOOKS = 100  # whoever only looks at the clock so often in a row waits for a moment that a rounding error keeps away


class _Clock(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing is ready; threads run at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        loop = self

        class Jumping(selectors.DefaultSelector):
            looks = 0

            def select(self, timeout: float | None = None):
                events = super().select(0)
                self.looks = 0 if events or timeout else self.looks + 1
                if not events and timeout:
                    loop.now += timeout
                elif self.looks > LOOKS:
                    loop.now = math.nextafter(loop.now, math.inf)
                return events

        super().__init__(Jumping())

    def time(self) -> float:
        return self.now

    def run_in_executor(self, _executor: object, func: Callable, *args: object):
        future = self.create_future()
        future.set_result(func(*args))
        return future


@contextlib.contextmanager
def virtual_time() -> Iterator[asyncio.Runner]:
    """Run coroutines by this clock, whose timers are exact."""
    with mock.patch.object(open_load, "TIMER_S", 0.0), asyncio.Runner(loop_factory=_Clock) as runner:
        yield runner
