"""The one loop that asks an engine: concurrency, retries, and each answer stored before its slot asks again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_random_exponential

from backends.api import Endpoint, Failure, FailureKind, Generation, GenerationRequest, Message, Sampling, TextPart
from backends.client import Client
from runner.asking.prefetch import Prefetch
from runner.asking.waits import Waits
from runner.datasets.encoded import BadImage
from runner.prompts import PromptError

# After these the engine may be dead: vLLM answers 500 for a moment when its worker has died.
LOST = ("connection", "server_error")
HUNG: FailureKind = "engine_died"
# A retry waits between these many seconds, growing; an endpoint's own Retry-After wins, up to its limit.
SHORTEST_WAIT_S, LONGEST_WAIT_S, LONGEST_RETRY_AFTER_S = 0.2, 30.0, 300.0
# After a question has timed out an engine of ours is asked this, and given at most so long: it hangs, or was only slow.
PROBE = GenerationRequest("probe", (Message("user", (TextPart("1"),)),), Sampling(max_tokens=1))
PROBE_S = 30.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to ask. `build` reads the images and makes the request; it may raise BadImage or PromptError.

    `max_pixels` is the limit on an image's area where it was lowered for this question; `lower` returns the same
    question with less, None where there is nothing left to take away or the answer is stored.
    """

    key: str
    sample_id: str
    repeat: int
    build: Callable[[], GenerationRequest]
    max_pixels: int | None = None
    lower: Callable[[], Ask | None] | None = None


class Gate(Protocol):
    """Decides whether a request may be sent, for example because it is paid for."""

    async def enter(self, request: GenerationRequest, waits: Waits, /) -> Failure | None:
        """Let an attempt pass, perhaps after a wait, which is added to `waits`, or return why it may not be sent."""
        ...

    def leave(self, request: GenerationRequest, generation: Generation | None) -> None:
        """Learn how an attempt that passed has ended; None: it was interrupted."""
        ...

    def exhausted(self, seconds: float) -> None:
        """Learn that the endpoint says, with an answer, that it grants nothing more for so many seconds."""
        ...

    def asks_again(self, generation: Generation) -> bool:
        """Whether an attempt that ended so counts as none: the question is asked again, beyond its retries."""
        ...


class How(TypedDict):
    """What closed and open loads are told alike; `load` explains it."""

    retries: int
    timeout_s: float
    alive: Callable[[], bool]
    on_answer: Callable[[Ask, Generation], Ask | None]
    gate: Gate | None
    may_hang: bool


class EngineGone(Exception):
    """An engine died, or the one at `hung` hangs, while it was asked; `unanswered` is what they were asked then."""

    def __init__(self, hung: Endpoint | None = None) -> None:
        """Know nothing else yet; the loop fills it in."""
        super().__init__("the engine died while it was asked")
        self.hung = hung
        self.unanswered: tuple[Ask, ...] = ()


@dataclass(slots=True)
class Tally:
    """What a load measured so far; kept outside of the loop, so that an interruption loses none of it.

    `wall_s` runs from the first request to the last answer. `engine_s` is what all attempts took, `slots_s` the
    time that slots had work, both summed over slots and without the waits before and between attempts: their difference
    is what the harness itself took. These waits are the others in seconds, as in `Waits`. `output_tokens` is None once
    an answer came without a count.
    """

    wall_s: float = 0.0
    engine_s: float = 0.0
    slots_s: float = 0.0
    asked: int = 0
    answered: int = 0
    chars: int = 0
    output_tokens: int | None = 0
    rate_limit_wait_s: float = 0.0
    fault_wait_s: float = 0.0
    in_flight_wait_s: float = 0.0
    budget_wait_s: float = 0.0

    def wait(self, waits: Waits) -> None:
        """Add what one question waited."""
        self.rate_limit_wait_s += waits.rate_limit_s
        self.fault_wait_s += waits.fault_s
        self.in_flight_wait_s += waits.in_flight_s
        self.budget_wait_s += waits.budget_s

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
    on_answer: Callable[[Ask, Generation], Ask | None],
    gate: Gate | None = None,
    may_hang: bool = False,
) -> None:
    """Ask everything that `asks` yields, `concurrency` at a time. Raise EngineGone when the engine dies or hangs.

    With several endpoints the slots are dealt out among them, so that each has as many, or one less.

    `on_answer` is called in the order of completion, before the slot takes its next question; what it raises ends the
    load, and a question that it returns is asked in the place of the answered one. `may_hang` says that the engine is
    ours: where a question times out, and none was answered meanwhile, it must answer a short one. A question that can't
    be built (an unreadable image) fails alone.
    """
    questions = Prefetch(asks, built, concurrency)
    clock = asyncio.get_running_loop().time
    watched = Watched(retries, timeout_s, alive, gate, may_hang=may_hang)

    async def slot(client: Client) -> None:
        following: Ask | None = None
        while True:
            begin = clock()
            taken = await (questions.next() if following is None else questions.again(following))
            if taken is None:
                return
            ask, request = taken.question, taken.request
            engine_s, waits = 0.0, Waits()
            if isinstance(request, Generation):
                generation = request
            else:
                answered = await watched.ask(client, request)
                generation, engine_s, waits = answered.generation, answered.engine_s, answered.waits
            try:
                await asyncio.sleep(0)  # answers that came meanwhile look at the clock before this one is stored
            finally:  # also where the load is interrupted just here
                tally.count(generation)
                following = on_answer(ask, generation)
            questions.done(taken)
            tally.engine_s += engine_s
            tally.slots_s += clock() - begin - waits.total_s
            tally.wait(waits)

    async with contextlib.AsyncExitStack() as open_clients:
        share = math.ceil(concurrency / len(endpoints))
        heard = None if gate is None else gate.exhausted
        clients = [
            await open_clients.enter_async_context(
                Client(endpoint, timeout_s=timeout_s, max_connections=share, on_exhausted=heard)
            )
            for endpoint in endpoints
        ]
        begin = clock()
        try:
            with one_error(questions):
                async with asyncio.TaskGroup() as group:
                    for number in range(concurrency):
                        group.create_task(slot(clients[number % len(clients)]))
        finally:
            tally.wall_s += clock() - begin


@contextlib.contextmanager
def one_error(questions: Prefetch[Ask, GenerationRequest | Generation]) -> Iterator[None]:
    """Raise what ends a load as one exception, and take no more questions however it ends."""
    try:
        yield
    except* Exception as errors:  # noqa: BLE001 - raised again at once
        # All that wait see the same engine die: one exception says it.
        error = next((error for error in errors.exceptions if not isinstance(error, EngineGone)), errors.exceptions[0])
        if isinstance(error, EngineGone):
            error.unanswered = questions.stop()
        raise error from None
    finally:
        questions.stop()


def built(ask: Ask) -> GenerationRequest | Generation:
    """Return the request of a question, or the failure of one that can't be built."""
    try:
        return ask.build()
    except (BadImage, PromptError) as error:
        return Generation(ask.key, None, Failure("bad_input", str(error)))


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer; `engine_s` is the latency of all attempts in seconds.

    `waits` is what passed between them and before the gate, by its cause.

    `begun` is when its last attempt began, on the event loop's clock, and `left` when its first one did; None: the gate
    let none pass.
    """

    generation: Generation
    engine_s: float
    waits: Waits
    begun: float
    left: float | None


class Watched:
    """Asks engines one question after the other, and tells an engine that is gone from one that is slow or refuses."""

    def __init__(
        self, retries: int, timeout_s: float, alive: Callable[[], bool], gate: Gate | None = None, *, may_hang: bool
    ) -> None:
        """Begin to watch; it can be made only in an event loop."""
        self._retries, self._timeout_s, self._alive, self._gate = retries, timeout_s, alive, gate
        self._may_hang = may_hang
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._last_answer: dict[str, float] = {}

    async def ask(self, client: Client, request: GenerationRequest) -> Answered:
        """Ask one question. Raise EngineGone when the engine died or hangs."""
        answered = await answer(client, request, self._retries, self._hangs, self._gate)
        error, ended = answered.generation.error, self._clock()
        if error is None:
            self._last_answer[client.endpoint.url] = ended
        elif error.kind == HUNG:
            raise EngineGone(client.endpoint)
        elif error.kind in LOST:
            if not await settled(self._alive):
                raise EngineGone
            answered.waits.fault_s += self._clock() - ended  # to see whether it still lives is nobody's work
        return answered

    async def _hangs(self, client: Client) -> bool:
        last = self._last_answer.get(client.endpoint.url, self._began)
        silent = self._may_hang and self._clock() - last >= self._timeout_s
        return silent and not await responds(client.endpoint, min(self._timeout_s, PROBE_S))


async def answer(
    client: Client,
    request: GenerationRequest,
    retries: int,
    hangs: Callable[[Client], Awaitable[bool]],
    gate: Gate | None = None,
) -> Answered:
    """Ask one question, again where that may help; the answer's timing is the last attempt's.

    A question that timed out is asked again only of an engine that does not hang.
    """
    engine_s = begun = 0.0
    waits = Waits()
    left: float | None = None
    clock = asyncio.get_running_loop().time

    async def attempt() -> Generation:
        generation = await once()
        while gate is not None and gate.asks_again(generation):
            generation = await once()
        return generation

    async def once() -> Generation:
        nonlocal engine_s, begun, left
        if gate is not None and (refused := await gate.enter(request, waits)) is not None:
            return Generation(request.key, None, refused)
        begun = clock()
        left = begun if left is None else left
        generation = None
        try:
            generation = await client.ask(request)
        finally:
            if gate is not None:
                gate.leave(request, generation)
        timing = generation.timing
        if timing:  # the client may have asked before in another form, which the endpoint refused
            begun = clock() - timing.latency_s - (timing.tail_s or 0)
        engine_s += timing.latency_s + (timing.tail_s or 0) if timing else clock() - begun
        if generation.error is not None and generation.error.kind == "timeout" and await hangs(client):
            return dataclasses.replace(generation, error=Failure(HUNG, f"it hangs: {generation.error.message}"))
        return generation

    generation = await attempt()
    if not _again(generation):  # nearly always; tenacity's account of one attempt costs as much as making a request
        return Answered(generation, engine_s, waits, begun, left)
    first = [generation]

    async def attempt_or_first() -> Generation:
        return first.pop() if first else await attempt()

    attempts = AsyncRetrying(
        retry=retry_if_result(_again),
        stop=stop_after_attempt(retries + 1),
        wait=_wait,
        before_sleep=lambda state: waits.between_attempts(_error(state), state.upcoming_sleep),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    generation = await attempts(attempt_or_first)
    number = attempts.statistics.get("attempt_number", 1)
    generation = dataclasses.replace(generation, attempts=number)
    return Answered(generation, engine_s, waits, begun, left)


def _again(generation: Generation) -> bool:
    return generation.error is not None and generation.error.retryable


def _wait(state: RetryCallState) -> float:
    """Wait as long as the endpoint asks for, else a growing random time."""
    error = _error(state)
    if error is not None and error.retry_after_s is not None:
        return float(min(error.retry_after_s, LONGEST_RETRY_AFTER_S))
    return float(SHORTEST_WAIT_S + wait_random_exponential(multiplier=0.5, max=LONGEST_WAIT_S)(state))


def _error(state: RetryCallState) -> Failure | None:
    generation: Generation | None = state.outcome.result() if state.outcome else None
    return None if generation is None else generation.error


async def responds(endpoint: Endpoint, within_s: float) -> bool:
    """Tell whether an engine still answers anything, be it with a refusal."""
    async with Client(endpoint, timeout_s=within_s) as client:
        error = (await client.ask(PROBE)).error
    return error is None or error.kind not in ("timeout", "connection")


async def settled(alive: Callable[[], bool], within_s: float = 2.0) -> bool:
    """Tell whether the engine still runs after a lost connection; a dying process needs a moment to be seen dead."""
    for _ in range(int(within_s / 0.1)):
        if not alive():
            return False
        await asyncio.sleep(0.1)
    return alive()
