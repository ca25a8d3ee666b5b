"""How many requests an endpoint with rate limits is sent at once: found from its refusals (`rate_limited`).

The rule is AIMD, additive increase and multiplicative decrease (Chiu and Jain 1989; RFC 5681 for TCP): the window of
requests in flight grows by one for each window of answers and is halved by a refusal. Two things are added. Refusals
of requests that left before the window was halved count once, as in TCP. Below the number that was refused last the
window stops, and one more is tried only after `PROBE` windows of answers, then after twice as many, so that a limit
that stays is seldom hit. Where a single request in flight is refused, the limit is one of requests per time: a gap
between requests doubles, and shrinks by 2% with each answer. While the endpoint's Retry-After lasts nothing is sent,
and neither until the reset that its headers name once they say that nothing is left: that is no refusal, so the window
stays.
"""

from __future__ import annotations

import asyncio
from collections import deque

from backends.api import Failure, Generation, GenerationRequest
from runner.asking.load import LONGEST_RETRY_AFTER_S, Gate
from runner.asking.waits import Waits

PROBE = 30  # windows of answers after which one more than the last limit is tried; twice as many if that fails
FIRST_GAP_S, LONGEST_GAP_S = 0.05, 60.0
# A question is asked again as long as the endpoint answered something within this time.
PATIENCE_S = 900.0


class RateLimit:
    """What is known of one endpoint's limit. It is a `Gate`; `inner` is another one, behind it.

    `window` is how many requests may be in flight, at most `most`. `refused` counts refusals, `pauses` how often
    headers said that nothing is left, `waited` sums what requests waited here. One object may serve several event
    loops, one after the other.
    """

    def __init__(self, most: int, inner: Gate | None = None) -> None:
        """Begin with one request at a time, and double with each window until the first refusal."""
        self.most, self.inner = most, inner
        self.window, self.gap_s = 1.0, 0.0
        self.refused = self.pauses = 0
        self.waited = Waits()
        self._starting = True  # no refusal yet: the window grows by one with each answer
        self._limit: int | None = None  # so many were in flight when one was refused
        self._in_flight = self._since_limit = 0
        self._probe = PROBE
        self._sent: dict[int, float] = {}  # id of a request in flight -> when it was sent
        self._decreased = self._not_before = self._paused_until = float("-inf")
        self._answered: float | None = None
        self._waiting: deque[asyncio.Event] = deque()

    async def enter(self, request: GenerationRequest, waits: Waits) -> Failure | None:
        """Wait until one more may be in flight."""
        clock = asyncio.get_running_loop().time
        here = Waits()
        if self._answered is None:
            self._answered = clock()
        while True:
            came = clock()
            if self._in_flight >= int(self.window):
                turn = asyncio.Event()
                self._waiting.append(turn)
                try:
                    await turn.wait()
                except asyncio.CancelledError:
                    if turn in self._waiting:
                        self._waiting.remove(turn)
                    else:
                        self._wake()  # hands its turn on
                    raise
                here.in_flight_s += clock() - came
            elif (rest := self._not_before - came) > 0:
                await asyncio.sleep(rest)
                here.rate_limit_s += clock() - came
            else:
                break
        self._in_flight += 1
        self._not_before = max(self._not_before, clock() + self.gap_s)
        self.waited.add(here)
        waits.add(here)
        refused = None
        try:
            refused = await self.inner.enter(request, waits) if self.inner is not None else None
        except BaseException:
            self._free()
            raise
        if refused is not None:
            self._free()
            return refused
        self._sent[id(request)] = clock()
        return None

    def leave(self, request: GenerationRequest, generation: Generation | None) -> None:
        """Learn from an answer or a refusal."""
        now = asyncio.get_running_loop().time()
        sent, flying = self._sent.pop(id(request), now), self._in_flight
        if self.inner is not None:
            self.inner.leave(request, generation)
        if generation is not None and generation.error is None:
            self._answered = now
            self._more()
        elif is_refusal(generation):
            assert generation is not None and generation.error is not None
            self._less(sent, now, flying, generation.error.retry_after_s)
        self._free()

    def exhausted(self, seconds: float) -> None:
        """Send nothing more until the endpoint grants something again."""
        now = asyncio.get_running_loop().time()
        until = now + min(seconds, LONGEST_RETRY_AFTER_S)
        if until > self._not_before:
            self.pauses += now >= self._paused_until  # answers of one window say it one after the other
            self._not_before = self._paused_until = until

    def asks_again(self, generation: Generation) -> bool:
        """Whether a refusal is none of the question's attempts: it is asked again when there is room."""
        now = asyncio.get_running_loop().time()
        return is_refusal(generation) and now - (self._answered or now) < PATIENCE_S

    def _more(self) -> None:
        self.gap_s = self.gap_s * 0.98 if self.gap_s > FIRST_GAP_S / 10 else 0.0
        grown = self.window + (1 if self._starting else 1 / self.window)
        if self._limit is not None and grown >= self._limit:
            self._since_limit += 1
            if self._since_limit < self._probe * self.window:
                return
            self._limit, self._since_limit = max(self._limit, int(grown)) + 1, 0
        self.window = min(grown, float(self.most))

    def _less(self, sent: float, now: float, flying: int, retry_after_s: float | None) -> None:
        self.refused += 1
        self._starting = False
        if retry_after_s is not None:
            self._not_before = max(self._not_before, now + min(retry_after_s, LONGEST_RETRY_AFTER_S))
        if sent <= self._decreased:
            return  # it left before the last decrease
        self._decreased, self._since_limit = now, 0
        if flying <= 1 or self.window < 2:
            self.gap_s = min(max(2 * self.gap_s, FIRST_GAP_S), LONGEST_GAP_S)
        limit = max(flying, 2)
        # The limit is where it was: it is tried half as often.
        self._probe = min(2 * self._probe, 32 * PROBE) if self._limit in (limit, limit + 1) else PROBE
        self._limit = limit
        self.window = max(1.0, self.window / 2)
        if retry_after_s is None:  # as long as what is in flight needs to end, and never at once
            self._not_before = max(self._not_before, now + max(FIRST_GAP_S, self.gap_s))

    def _free(self) -> None:
        self._in_flight -= 1
        self._wake()

    def _wake(self) -> None:
        for _ in range(max(0, int(self.window) - self._in_flight)):
            if self._waiting:
                self._waiting.popleft().set()

    def figures(self) -> dict[str, float]:
        """Return what is tracked."""
        return {
            "rate_limit/concurrency": float(int(self.window)),
            "rate_limit/refused": float(self.refused),
            "rate_limit/pauses": float(self.pauses),
            "rate_limit/waited_s": self.waited.total_s,
        }

    def told(self) -> str | None:
        """Say what it settled on; None where the endpoint neither refused anything nor said that nothing was left."""
        if not self.refused and not self.pauses:
            return None
        gap = f", {self.gap_s:.2g} s apart" if self.gap_s else ""
        refused = f"refused {self.refused} requests (429, or 503 and 529 for overload), which were sent again"
        paused = f"said {self.pauses}x in its headers that nothing was left, so that nothing was sent until its reset"
        did = " and ".join([refused] * bool(self.refused) + [paused] * bool(self.pauses))
        return (
            f"rate limit: the endpoint {did}; in the end {int(self.window)} of {self.most} (concurrency) were in "
            f"flight at once{gap}; requests waited {self.waited.total_s:.1f} s in sum, which no latency contains"
        )


def is_refusal(generation: Generation | None) -> bool:
    """Whether an endpoint refused a request because there were too many."""
    return generation is not None and generation.error is not None and generation.error.kind == "rate_limited"
