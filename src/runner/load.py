"""The one loop that asks an engine: concurrency, retries, and each answer stored before its slot asks again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_random_exponential

from backends.api import Endpoint, Failure, Generation, GenerationRequest
from backends.client import Client
from runner.datasets.encoded import BadImage
from runner.prompts import PromptError

# After these the engine may be dead: vLLM answers 500 for a moment when its worker has died.
LOST = ("connection", "server_error")
# A retry waits between these many seconds, growing; an endpoint's own Retry-After wins, up to its limit.
SHORTEST_WAIT_S, LONGEST_WAIT_S, LONGEST_RETRY_AFTER_S = 0.2, 30.0, 300.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to ask. `build` reads the images and makes the request; it may raise BadImage or PromptError."""

    key: str
    sample_id: str
    repeat: int
    build: Callable[[], GenerationRequest]


class Gate(Protocol):
    """Decides whether a request may be sent, for example because it is paid for."""

    async def enter(self, request: GenerationRequest) -> Failure | None:
        """Let an attempt pass, perhaps after a wait, or return why it may not be sent."""
        ...

    def leave(self, request: GenerationRequest, generation: Generation | None) -> None:
        """Learn how an attempt that passed has ended; None: it was interrupted."""
        ...


class EngineGone(Exception):
    """The engine died while it was asked; `unanswered` is what it was asked then."""

    def __init__(self) -> None:
        """Know nothing yet; the loop fills it in."""
        super().__init__("the engine died while it was asked")
        self.unanswered: tuple[Ask, ...] = ()


@dataclass(slots=True)
class Tally:
    """What a load measured so far; kept outside of the loop, so that an interruption loses none of it.

    `wall_s` runs from the first request to the last answer. `engine_s` is the latency of all attempts, `slots_s` the
    time that slots had work, both summed over slots and without the waits between attempts: their difference is what
    the harness itself took. `output_tokens` is None once an answer came without a count.
    """

    wall_s: float = 0.0
    engine_s: float = 0.0
    slots_s: float = 0.0
    asked: int = 0
    answered: int = 0
    chars: int = 0
    output_tokens: int | None = 0

    def count(self, generation: Generation) -> None:
        """Add one answer or failure."""
        self.asked += 1
        if generation.text is None:
            return
        self.answered += 1
        self.chars += len(generation.text)
        tokens = generation.completion_tokens
        self.output_tokens = None if tokens is None or self.output_tokens is None else self.output_tokens + tokens


async def load(
    asks: Iterator[Ask],
    endpoints: Sequence[Endpoint],
    tally: Tally,
    *,
    concurrency: int,
    retries: int,
    timeout_s: float,
    alive: Callable[[], bool],
    on_answer: Callable[[Ask, Generation], None],
    gate: Gate | None = None,
) -> None:
    """Ask everything that `asks` yields, `concurrency` at a time. Raise EngineGone when the engine dies.

    With several endpoints the slots are dealt out among them, so that each has as many, or one less.

    `on_answer` is called in the order of completion, before the slot takes its next question; what it raises ends the
    load. A question that can't be built (an unreadable image) fails alone. Questions are taken and built in a thread:
    reading pictures in the event loop would count as latency of the answers that other slots wait for.
    """
    in_flight: dict[int, Ask] = {}
    numbers = itertools.count()
    clock = asyncio.get_running_loop().time
    taking = threading.Lock()

    ended = False

    def take() -> tuple[int, Ask, GenerationRequest | Generation] | None:
        with taking:
            ask = None if ended else next(asks, None)
            if ask is None:
                return None
            number = next(numbers)
            in_flight[number] = ask
        return number, ask, _built(ask)

    def left() -> tuple[Ask, ...]:
        """Return what was taken and not answered; a thread that is late takes nothing any more."""
        nonlocal ended
        with taking:
            ended = True
        return tuple(in_flight.values())

    async def slot(client: Client) -> None:
        while True:
            begin = clock()
            taken = await asyncio.to_thread(take)
            if taken is None:
                return
            number, ask, request = taken
            engine_s = waited = 0.0
            if isinstance(request, Generation):
                generation = request
            else:
                generation, engine_s, waited = await answer(client, request, retries, gate)
            answered = clock()
            if generation.error is not None and generation.error.kind in LOST and not await settled(alive):
                raise EngineGone
            waited += clock() - answered  # to see whether a lost engine still lives is nobody's work
            tally.count(generation)
            on_answer(ask, generation)
            del in_flight[number]
            tally.engine_s += engine_s
            tally.slots_s += clock() - begin - waited

    async with contextlib.AsyncExitStack() as open_clients:
        share = math.ceil(concurrency / len(endpoints))
        clients = [
            await open_clients.enter_async_context(Client(endpoint, timeout_s=timeout_s, max_connections=share))
            for endpoint in endpoints
        ]
        begin = clock()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(concurrency):
                    group.create_task(slot(clients[number % len(clients)]))
        except* Exception as errors:  # noqa: BLE001 - raised again at once
            # All slots see the same engine die: one exception says it.
            error = next((one for one in errors.exceptions if not isinstance(one, EngineGone)), errors.exceptions[0])
            if isinstance(error, EngineGone):
                error.unanswered = left()
            raise error from None
        finally:
            tally.wall_s += clock() - begin


def _built(ask: Ask) -> GenerationRequest | Generation:
    try:
        return ask.build()
    except (BadImage, PromptError) as error:
        return Generation(ask.key, None, Failure("bad_input", str(error)))


async def answer(
    client: Client, request: GenerationRequest, retries: int, gate: Gate | None = None
) -> tuple[Generation, float, float]:
    """Ask one question, again where that may help; the answer's timing is the last attempt's.

    Returns the answer, the latency of all attempts and the time waited between them, in seconds.
    """
    engine_s = 0.0

    async def attempt() -> Generation:
        nonlocal engine_s
        if gate is not None and (refused := await gate.enter(request)) is not None:
            return Generation(request.key, None, refused)
        begin = time.perf_counter()
        generation = None
        try:
            generation = await client.ask(request)
        finally:
            if gate is not None:
                gate.leave(request, generation)
        engine_s += generation.timing.latency_s if generation.timing else time.perf_counter() - begin
        return generation

    attempts = AsyncRetrying(
        retry=retry_if_result(lambda generation: generation.error is not None and generation.error.retryable),
        stop=stop_after_attempt(retries + 1),
        wait=_wait,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    generation: Generation = await attempts(attempt)
    number = attempts.statistics.get("attempt_number", 1)
    return dataclasses.replace(generation, attempts=number), engine_s, attempts.statistics.get("idle_for", 0.0)


def _wait(state: RetryCallState) -> float:
    """Wait as long as the endpoint asks for, else a growing random time."""
    error = state.outcome.result().error if state.outcome else None
    if error is not None and error.retry_after_s is not None:
        return float(min(error.retry_after_s, LONGEST_RETRY_AFTER_S))
    return float(SHORTEST_WAIT_S + wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_S)(state))


async def settled(alive: Callable[[], bool], within_s: float = 2.0) -> bool:
    """Tell whether the engine still runs after a lost connection; a dying process needs a moment to be seen dead."""
    for _ in range(int(within_s / 0.1)):
        if not alive():
            return False
        await asyncio.sleep(0.1)
    return alive()
