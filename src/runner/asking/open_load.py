"""The open load: each request is sent when it is due, whatever is under way, and its latency counts from then.

A loop that waits for answers before it asks again asks a slow engine less, and so hides how long its users would wait
("coordinated omission": Schroeder, Wierman and Harchol-Balter, "Open versus closed: a cautionary tale", NSDI 2006).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from backends.api import Endpoint, Generation, GenerationRequest
from backends.client import Client
from runner.asking.load import Answered, Ask, Gate, Tally, Watched, built, one_error
from runner.asking.prefetch import MOST, Prefetch, Taken
from runner.asking.waits import Waits
from runner.planning.arrivals import Arrivals

# asyncio's timers are rounded up to whole milliseconds (CPython 3.11, selectors.py:EpollSelector.select).
TIMER_S = 0.001
OnAnswer = Callable[[Ask, Generation], Ask | None]


@dataclass(slots=True)
class OpenTally(Tally):
    """What an open load measured.

    `wall_s` is the length of its settled part; `answered`, `chars` and `output_tokens` count the answers that ended
    within it, `ended` those and the failures, and `due` the requests that were due within it. `asked` counts all of
    the load, and so do the waits and `held`: the requests that waited on our side since too many were under way.
    `in_flight_s` sums how long requests were under way within the settled part, so that divided by `wall_s` it is how
    many were on average.
    """

    due: int = 0
    ended: int = 0
    held: int = 0
    in_flight_s: float = 0.0


async def open_load(
    asks: Iterator[Ask],
    endpoints: Sequence[Endpoint],
    tally: OpenTally,
    arrivals: Arrivals,
    *,
    retries: int,
    timeout_s: float,
    alive: Callable[[], bool],
    on_answer: OnAnswer,
    gate: Gate | None = None,
    may_hang: bool = False,
) -> None:
    """Ask everything that `asks` yields, each question when it is due. Raise EngineGone when the engine dies or hangs.

    Of several endpoints the one with the fewest requests under way is asked. Everything else is as in `load.load`.
    """
    questions = Prefetch(asks, built, 2 * MOST, ahead=MOST)
    async with contextlib.AsyncExitStack() as open_clients:
        most = arrivals.max_in_flight
        clients = [
            await open_clients.enter_async_context(Client(endpoint, timeout_s=timeout_s, max_connections=most))
            for endpoint in endpoints
        ]
        watched = Watched(retries, timeout_s, alive, gate, may_hang=may_hang)
        taken = await questions.next()  # the load begins when its first request is at hand
        sending = _Sending(clients, watched, questions, tally, arrivals, on_answer)
        try:
            with one_error(questions):
                async with asyncio.TaskGroup() as group:
                    for due_s in arrivals.due():
                        if taken is None:
                            sending.ends(due_s)
                            break
                        await sending.send(group, taken, due_s)
                        taken = await questions.next()
        finally:
            tally.wall_s += max(0.0, sending.over_s() - arrivals.settle_s)


class _Sending:
    """The requests of one open load that are under way."""

    def __init__(
        self,
        clients: Sequence[Client],
        watched: Watched,
        questions: Prefetch[Ask, GenerationRequest | Generation],
        tally: OpenTally,
        arrivals: Arrivals,
        on_answer: OnAnswer,
    ) -> None:
        self._clients, self._watched, self._questions = clients, watched, questions
        self._tally, self._on_answer = tally, on_answer
        self._settle_s = arrivals.settle_s
        self._under_way = [0] * len(clients)
        self._free = asyncio.Semaphore(arrivals.max_in_flight)
        self._clock = asyncio.get_running_loop().time
        self._began, self._ended_s = self._clock(), math.inf
        self._full_until = -math.inf  # when the last request left that found as many under way as are allowed

    def ends(self, at_s: float) -> None:
        """Learn when the sending is over, in seconds from the start."""
        self._ended_s = at_s

    def over_s(self) -> float:
        """Return when the sending was over; now, where something ended it before."""
        return min(self._ended_s, self._clock() - self._began)

    async def send(
        self, group: asyncio.TaskGroup, taken: Taken[Ask, GenerationRequest | Generation], due: float
    ) -> None:
        """Send a request when it is due, and return."""
        await self._until(self._began + due)
        if full := self._free.locked():
            self._tally.held += 1
        await self._free.acquire()
        if full:
            self._full_until = self._clock()
        # One that was due while another was held back, and then found room at once, waited for the same reason.
        held_s = max(0.0, self._full_until - self._began - due)
        number = self._under_way.index(min(self._under_way))
        self._under_way[number] += 1
        group.create_task(self._request(number, taken, due, held_s))

    async def _until(self, at: float) -> None:
        """Wait until `at` on the loop's clock. A timer ends the wait a little before; the rest is spent looking."""
        if (early := at - TIMER_S - self._clock()) > 0:
            await asyncio.sleep(early)
        while self._clock() < at:  # noqa: ASYNC110 - the clock is no event; meanwhile answers are read
            await asyncio.sleep(0)

    async def _request(
        self, number: int, taken: Taken[Ask, GenerationRequest | Generation], due: float, held_s: float
    ) -> None:
        sent: float | None = None  # in seconds from the start; a budget may hold it back, or not let it pass
        settled = due >= self._settle_s
        self._tally.due += settled
        following: Ask | None = taken.question
        waits = Waits(in_flight_s=held_s)
        try:
            while following is not None:
                ask, request = taken.question, taken.request
                if isinstance(request, Generation):  # it could not be built
                    generation = request
                    self._tally.due -= settled and sent is None
                else:
                    answered = await self._watched.ask(self._clients[number], request)
                    if sent is None and answered.left is not None:
                        sent = answered.left - self._began
                    self._tally.due -= settled and sent is None
                    generation = self._from_due(answered, due, due if sent is None else sent, settled=settled)
                    self._tally.engine_s += answered.engine_s
                    waits.add(answered.waits)
                try:
                    await asyncio.sleep(0)  # as in load.py
                finally:
                    self._count(generation)
                    following = self._on_answer(ask, generation)
                self._questions.done(taken)
                if following is not None:
                    taken = await self._questions.again(following)
        finally:
            self._under_way[number] -= 1
            self._free.release()
            ended = self._clock() - self._began
            self._tally.slots_s += ended - due - waits.total_s
            self._tally.wait(waits)
            if sent is not None:
                self._tally.in_flight_s += max(0.0, min(ended, self._ended_s) - max(sent, self._settle_s))

    def _count(self, generation: Generation) -> None:
        """Count an answer if it ended within the settled part."""
        if self._settle_s <= self._clock() - self._began < self._ended_s:
            self._tally.count(generation)
            self._tally.ended += 1
        else:
            self._tally.asked += 1

    def _from_due(self, answered: Answered, due: float, sent: float, *, settled: bool) -> Generation:
        """Return an answer whose timing counts from when it was due."""
        generation, timing = answered.generation, answered.generation.timing
        if timing is None:
            return generation
        before = answered.begun - self._began - due
        timing = dataclasses.replace(
            timing,
            sent_at=timing.sent_at - before,
            latency_s=timing.latency_s + before,
            ttft_s=None if timing.ttft_s is None else timing.ttft_s + before,
            answer_ttft_s=None if timing.answer_ttft_s is None else timing.answer_ttft_s + before,
            late_s=max(0.0, sent - due),
            settled=settled,
        )
        return dataclasses.replace(generation, timing=timing)
