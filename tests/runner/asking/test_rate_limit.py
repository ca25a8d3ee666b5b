"""An endpoint with rate limits is asked as much as it bears: scripted limits, by a clock that jumps."""

import asyncio
from collections.abc import Callable

import pytest

from backends.api import Endpoint, Failure, Generation, GenerationRequest, Message, TextPart, Timing
from runner.asking import load
from runner.asking.rate_limit import RateLimit
from tests.runner.asking.virtual_time import virtual_time


class Provider:
    """Answers after a second; refuses what is beyond `in_flight` at once, or `per_minute` (a token bucket of `burst`).

    `tells`: a refusal says after how many seconds there is room. `warns`: an answer whose request took the last one
    says in its headers when there is room again, before its text. `outcomes` has True for each answer, in order.
    """

    def __init__(
        self,
        *,
        in_flight: int = 10_000,
        per_minute: float = 1e9,
        burst: float = 1e9,
        tells: bool = False,
        warns: bool = False,
    ) -> None:
        self.limit, self.rate, self.burst, self.tells = in_flight, per_minute / 60, burst, tells
        self.warns, self.heard = warns, None
        self.tally = load.Tally()
        self.flying, self.tokens, self.filled, self.outcomes = 0, burst, 1000.0, []

    def client(self, endpoint: Endpoint, on_exhausted: Callable[[float], None] | None = None, **_: object):
        self.endpoint, self.heard = endpoint, on_exhausted
        return self

    async def __aenter__(self) -> "Provider":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def ask(self, request: GenerationRequest) -> Generation:
        now = asyncio.get_running_loop().time()
        self.tokens = min(self.burst, self.tokens + (now - self.filled) * self.rate)
        self.filled = now
        if self.flying >= self.limit or self.tokens < 1 - 1e-9:
            self.outcomes.append(False)
            wait = (1 - self.tokens) / self.rate if self.tells else None
            busy = Failure("rate_limited", "HTTP 429: slow down", retryable=True, retry_after_s=wait)
            return Generation(request.key, None, busy, timing=Timing(now, 0.0))
        self.tokens -= 1
        self.flying += 1
        if self.warns and self.tokens < 1 and self.heard is not None:
            self.heard((1 - self.tokens) / self.rate)
        await asyncio.sleep(1)
        self.flying -= 1
        self.outcomes.append(True)
        return Generation(request.key, "Петров", None, timing=Timing(now, 1.0))


def asked(provider: Provider, count: int, gate: load.Gate | None, monkeypatch, *, retries: int = 0):
    """Ask so many questions, and return how each ended and how many seconds that took."""
    monkeypatch.setattr(load, "Client", provider.client)
    ended: list[Generation] = []

    def build(number: int) -> Callable[[], GenerationRequest]:
        return lambda: GenerationRequest(str(number), (Message("user", (TextPart("?"),)),))

    async def main() -> float:
        begin = asyncio.get_running_loop().time()
        await load.load(
            (load.Ask(str(number), str(number), 0, build(number)) for number in range(count)),
            [Endpoint("http://127.0.0.1:1/v1", "m")],
            provider.tally,
            concurrency=64,
            retries=retries,
            timeout_s=60,
            alive=lambda: True,
            on_answer=lambda _ask, generation: ended.append(generation),
            gate=gate,
        )
        return asyncio.get_running_loop().time() - begin

    with virtual_time() as runner:
        return ended, runner.run(main())


@pytest.mark.parametrize("limit", [1, 2, 5, 16, 40])
def test_so_many_are_in_flight_as_the_endpoint_bears(limit: int, monkeypatch):
    provider, gate = Provider(in_flight=limit), RateLimit(64)
    ended, took = asked(provider, 1500, gate, monkeypatch)
    assert all(one.error is None and one.attempts == 1 and one.timing.latency_s == 1 for one in ended)
    settled = provider.outcomes[len(provider.outcomes) // 2 :]
    assert settled.count(False) <= 0.03 * len(settled)
    assert took <= 1500 / limit * 2, "it is not asked for less than half of what it bears"
    assert limit / 2 <= gate.figures()["rate_limit/concurrency"] <= limit + 1, "one more while that is tried"
    assert gate.refused == provider.outcomes.count(False)
    tally = provider.tally
    assert tally.in_flight_wait_s == gate.waited.in_flight_s > 0 and tally.rate_limit_wait_s == gate.waited.rate_limit_s
    assert tally.fault_wait_s == tally.budget_wait_s == 0
    whole = tally.slots_s + tally.in_flight_wait_s + tally.rate_limit_wait_s
    assert whole == pytest.approx(64 * took, rel=0.1), "at each moment a slot has work or waits"


@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("per_minute", [20, 120, 600])
def test_so_many_are_sent_a_minute_as_the_endpoint_bears(per_minute: int, tells: bool, monkeypatch):
    provider, gate = Provider(per_minute=per_minute, burst=5, tells=tells), RateLimit(64)
    ended, took = asked(provider, 1000, gate, monkeypatch)
    assert all(one.error is None and one.timing.latency_s == 1 for one in ended)
    settled = provider.outcomes[len(provider.outcomes) // 2 :]
    assert settled.count(False) <= 0.2 * len(settled)
    assert took <= 2.5 * max(1000 / (per_minute / 60), 1000 / 64)


@pytest.mark.parametrize("per_minute", [20, 120, 600])
def test_an_endpoint_that_says_when_nothing_is_left_refuses_nothing(per_minute: int, monkeypatch):
    provider, gate = Provider(per_minute=per_minute, burst=5, warns=True), RateLimit(64)
    ended, took = asked(provider, 1000, gate, monkeypatch)
    assert all(one.error is None and one.attempts == 1 and one.timing.latency_s == 1 for one in ended)
    assert provider.outcomes.count(False) == gate.refused == 0
    assert gate.figures()["rate_limit/pauses"] > 0
    assert took <= 1.2 * 1000 / (per_minute / 60)
    assert provider.tally.rate_limit_wait_s == gate.waited.rate_limit_s > 0
    told = gate.told()
    assert told is not None and "nothing was left" in told and "refused" not in told


def test_a_pause_ends_after_five_minutes_whatever_the_headers_say(monkeypatch):
    provider, gate = Provider(burst=1, per_minute=1 / 60, warns=True), RateLimit(64)
    ended, _ = asked(provider, 2, gate, monkeypatch)
    assert gate.refused > 0, "of the hour that the endpoint wants only five minutes were waited at first"
    assert ended[0].error is None and ended[-1].error.kind == "rate_limited", "patience is 15 minutes"


def test_an_endpoint_that_refuses_nothing_is_asked_as_much_as_concurrency_allows(monkeypatch):
    gate = RateLimit(64)
    _, took = asked(Provider(), 1280, gate, monkeypatch)
    assert took <= 20 + 8 and gate.told() is None
    assert gate.figures() == {
        "rate_limit/concurrency": 64,
        "rate_limit/refused": 0,
        "rate_limit/pauses": 0,
        "rate_limit/waited_s": gate.waited.total_s,
    }


def test_an_endpoint_that_only_refuses_is_given_up(monkeypatch):
    provider, gate = Provider(in_flight=0), RateLimit(64)
    ended, _ = asked(provider, 3, gate, monkeypatch, retries=1)
    assert [one.error.kind for one in ended] == ["rate_limited"] * 3


def test_without_it_the_same_endpoint_loses_questions(monkeypatch):
    ended, _ = asked(Provider(in_flight=5), 200, None, monkeypatch)
    assert any(one.error is not None for one in ended), "or this file would show nothing"
