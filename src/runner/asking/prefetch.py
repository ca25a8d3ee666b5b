"""Questions are taken and built in a thread, a few ahead of the slots that ask them.

Reading and hashing pictures in the event loop would count as latency of the answers that other slots wait for; a hop
into a thread for each of them would cost as much as the request itself. So several are taken at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Question = TypeVar("Question")
Request = TypeVar("Request")
MOST = 16  # taken at a time: each holds its pictures in memory
TURN_S = 0.0005  # a tenth of CPython's default


@contextlib.contextmanager
def short_turns() -> Iterator[None]:
    """Let threads of this process take turns every 0.5 ms.

    The event loop lends the interpreter to the thread that builds questions whenever it writes to a socket, and gets it
    back after a turn: with CPython's 5 ms, answers that came in meanwhile looked up to 5 ms slower. With 0.5 ms, the
    median latency in benchmarks/known_delays.py came 0.5 to 1.5 ms nearer to the endpoint's own records.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@dataclass(frozen=True, slots=True)
class Taken(Generic[Question, Request]):
    """A question on its way: its number, itself, and what is to be sent."""

    number: int
    question: Question
    request: Request


class Prefetch(Generic[Question, Request]):
    """Hands out questions in order and keeps account of those that are not done.

    With one slot nothing is taken ahead: what the next question is may depend on the last answer (two rows may ask the
    same, and the second then takes the first one's answer).
    """

    def __init__(
        self, questions: Iterator[Question], build: Callable[[Question], Request], slots: int, ahead: int | None = None
    ) -> None:
        """Take nothing yet. `ahead` is how few may be left before more are taken; None: half of those taken at once."""
        self._questions, self._build = questions, build
        self._at_once = max(1, min(slots // 2, MOST))
        self._ahead = 0 if slots == 1 else self._at_once // 2 if ahead is None else ahead
        self._ready: deque[Taken[Question, Request]] = deque()
        self._under_way: dict[int, Question] = {}
        self._number = 0
        self._taking = threading.Lock()
        self._exhausted = False
        self._refill: asyncio.Task[None] | None = None

    async def next(self) -> Taken[Question, Request] | None:
        """Return the next question, None after the last. What taking or building it raises is raised here."""
        while not self._ready and not self._exhausted:
            await self._refilling()
        taken = self._ready.popleft() if self._ready else None
        if self._ahead and len(self._ready) <= self._ahead and not self._exhausted:
            self._refilling()
        return taken

    async def again(self, question: Question) -> Taken[Question, Request]:
        """Take a question that came up while another was answered."""
        with self._taking:
            number = self._note(question)
        return Taken(number, question, await asyncio.to_thread(self._build, question))

    def done(self, taken: Taken[Question, Request]) -> None:
        """Take a question off the account."""
        del self._under_way[taken.number]

    def stop(self) -> tuple[Question, ...]:
        """Return what was taken and is not done; a thread that is late takes nothing any more."""
        with self._taking:
            self._exhausted = True
        return tuple(self._under_way.values())

    def _refilling(self) -> asyncio.Task[None]:
        """Return the one refill that runs, begun if need be. One that failed stays: whoever waits for it is told."""
        last = self._refill
        if last is None or (last.done() and not last.cancelled() and last.exception() is None):
            last = self._refill = asyncio.create_task(self._fill())
        return last

    async def _fill(self) -> None:
        self._ready.extend(await asyncio.to_thread(self._take))

    def _take(self) -> list[Taken[Question, Request]]:
        taken = []
        for _ in range(self._at_once):
            with self._taking:
                if self._exhausted:
                    break
                try:
                    question = next(self._questions)
                except StopIteration:
                    self._exhausted = True
                    break
                number = self._note(question)
            taken.append(Taken(number, question, self._build(question)))
        return taken

    def _note(self, question: Question) -> int:
        self._number += 1
        self._under_way[self._number] = question
        return self._number
