"""The one loop that asks an engine: concurrency, retries, and each answer stored before its slot asks again."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_random_exponential

from backends.api import Endpoint, Failure, Generation, GenerationRequest
from backends.client import Client
from runner.datasets.images import BadImage
from runner.prompts import PromptError

# After these the engine may be dead: vLLM answers 500 for a moment when its worker has died.
LOST = ("connection", "server_error")
# A retry waits between these many seconds, growing; an endpoint's own Retry-After wins, up to its limit.
SHORTEST_WAIT_S, LONGEST_WAIT_S, LONGEST_RETRY_AFTER_S = 0.2, 30.0, 300.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to ask. `build` reads the images and makes the request; it may raise BadImage."""

    key: str
    sample_id: str
    repeat: int
    build: Callable[[], GenerationRequest]


class EngineGone(Exception):
    """The engine died while it was asked: what it had not answered, and what was measured until then."""

    def __init__(self) -> None:
        """Know nothing yet; the loop fills it in."""
        super().__init__("the engine died while it was asked")
        self.unanswered: tuple[Ask, ...] = ()
        self.loaded: Loaded | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the loop measured: the wall time from the first request to the last answer, and the time spent waiting."""

    wall_s: float
    waited_s: float
    asked: int


async def load(
    asks: Iterator[Ask],
    endpoint: Endpoint,
    *,
    concurrency: int,
    retries: int,
    timeout_s: float,
    alive: Callable[[], bool],
    on_answer: Callable[[Ask, Generation], None],
) -> Loaded:
    """Ask everything that `asks` yields, `concurrency` at a time. Raise EngineGone when the engine dies.

    `on_answer` is called in the order of completion, before the slot takes its next question; what it raises ends the
    load. A question that can't be built (an unreadable image) fails alone.
    """
    waited, asked = 0.0, 0
    in_flight: dict[str, Ask] = {}
    clock = asyncio.get_running_loop().time

    async def slot(client: Client) -> None:
        nonlocal waited, asked
        for ask in asks:
            begin = clock()
            in_flight[ask.key] = ask
            generation = await answer(client, ask, retries)
            waited += clock() - begin
            if generation.error is not None and generation.error.kind in LOST and not await settled(alive):
                raise EngineGone
            asked += 1
            on_answer(ask, generation)
            del in_flight[ask.key]

    async with Client(endpoint, timeout_s=timeout_s, max_connections=concurrency) as client:
        begin = clock()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(slot(client))
        except* Exception as errors:  # noqa: BLE001 - raised again at once
            # All slots see the same engine die: one exception says it.
            error = errors.exceptions[0]
            if isinstance(error, EngineGone):
                error.unanswered = tuple(in_flight.values())
                error.loaded = Loaded(wall_s=clock() - begin, waited_s=waited, asked=asked)
            raise error from None
        return Loaded(wall_s=clock() - begin, waited_s=waited, asked=asked)


async def answer(client: Client, ask: Ask, retries: int) -> Generation:
    """Ask one question, again where that may help; the timing is the last attempt's."""
    try:
        request = ask.build()
    except (BadImage, PromptError) as error:
        return Generation(ask.key, None, Failure("bad_input", str(error)))
    attempts = AsyncRetrying(
        retry=retry_if_result(lambda generation: generation.error is not None and generation.error.retryable),
        stop=stop_after_attempt(retries + 1),
        wait=_wait,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    generation: Generation = await attempts(client.ask, request)
    number = attempts.statistics.get("attempt_number", 1)
    return dataclasses.replace(generation, attempts=number)


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
