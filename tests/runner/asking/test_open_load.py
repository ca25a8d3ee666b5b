"""The open load by a clock of its own: time passes only while everything waits, so that every figure is exact."""

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Iterator

import pytest

from backends.api import Endpoint, Failure, Generation, GenerationRequest, Message, TextPart, Timing
from runner.asking import load, open_load
from runner.asking.questions import Generated
from runner.asking.waits import Waits
from runner.jobs import figures, notes
from runner.planning.arrivals import Arrivals
from tests.runner.asking.virtual_time import virtual_time


class Engine:
    """Answers after `latency(number)` seconds, one after the other where it has `slots`; notes when it was asked."""

    def __init__(self, latency: Callable[[int], float], slots: int = 10_000, fails: tuple[Failure, ...] = ()) -> None:
        self.latency, self.fails = latency, list(fails)
        self.slots, self.asked, self.urls = asyncio.Semaphore(slots), [], []

    def client(self, endpoint: Endpoint, **_: object) -> "Client":
        return Client(self, endpoint)


class Client:
    def __init__(self, engine: Engine, endpoint: Endpoint) -> None:
        self.engine, self.endpoint = engine, endpoint

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def ask(self, request: GenerationRequest) -> Generation:
        clock, engine = asyncio.get_running_loop().time, self.engine
        begin = clock()
        engine.asked.append(begin - 1000.0)
        engine.urls.append(self.endpoint.url)
        if engine.fails and (failure := engine.fails.pop(0)):
            return Generation(request.key, None, failure, timing=Timing(begin, 0.0))
        async with engine.slots:
            await asyncio.sleep(engine.latency(int(request.key)))
        return Generation(request.key, "Петров", None, timing=_timing(begin, clock() - begin))


def _timing(begin: float, took: float) -> Timing:
    return Timing(begin, took, took - 0.05, answer_ttft_s=took - 0.02)


def arrivals(times: Iterator[float] | list[float], count: int, settle_s: float = 0.0, most: int = 256) -> Arrivals:
    kept = list(itertools.islice(times, count + 1))
    return Arrivals("test", count, settle_s, most, lambda: iter(kept))


def every(seconds: float) -> Iterator[float]:
    return (number * seconds for number in itertools.count())


def ask(number: int, request: GenerationRequest | Generation | None = None) -> load.Ask:
    request = request or GenerationRequest(str(number), (Message("user", (TextPart("?"),)),))
    return load.Ask(str(number), str(number), 0, lambda: request)


@pytest.fixture
def run(monkeypatch):
    def start(
        make: Callable[[], Engine], due: Arrivals, *, on_answer=None, endpoints=1, alive=True, gate=None, unbuilt=None
    ):
        answers: dict[str, Generation] = {}
        tally = open_load.OpenTally()

        def kept(one: load.Ask, generation: Generation) -> load.Ask | None:
            answers[one.key] = generation
            return on_answer(one, generation) if on_answer else None

        async def main() -> Engine:
            engine = make()
            monkeypatch.setattr(open_load, "Client", engine.client)
            await open_load.open_load(
                (ask(number, (unbuilt or {}).get(number)) for number in range(due.count)),
                [Endpoint(f"http://{number}", "m") for number in range(endpoints)], tally,
                due, retries=2, timeout_s=60, alive=lambda: alive, on_answer=kept, gate=gate,
            )  # fmt: skip
            return engine

        with virtual_time() as runner:
            engine = runner.run(main())
        return engine, answers, tally

    return start


def latencies(answers: dict[str, Generation]) -> list[float]:
    return [answers[key].timing.latency_s for key in sorted(answers, key=int)]


def measures(answers: dict[str, Generation], tally: open_load.OpenTally, **slo: float) -> dict[str, float]:
    rows = [
        {"text": one.text, "error": one.error, "timing": dataclasses.asdict(one.timing), "attempts": 1,
         "completion_tokens": None}
        for one in answers.values()
    ]  # fmt: skip
    seen = figures.Seen(rows, {name.replace("_p", "/p"): limit for name, limit in slo.items()})
    return figures.figures(seen, {**dataclasses.asdict(tally), "stats": {}}, timed=True)


def test_requests_leave_when_they_are_due_whatever_is_under_way(run):
    engine, answers, tally = run(lambda: Engine(lambda _: 0.35), arrivals(every(0.1), 50, settle_s=1.0))
    assert engine.asked == pytest.approx([number / 10 for number in range(50)])
    assert latencies(answers) == pytest.approx([0.35] * 50)
    assert [answers[key].timing.settled for key in ("9", "10", "49")] == [False, True, True]
    assert tally.wall_s == pytest.approx(4.0) and tally.due == 40 and tally.asked == 50 and tally.held == 0
    values = measures(answers, tally)
    assert values["load/offered_per_s"] == pytest.approx(10)
    assert values["throughput/requests_per_s"] == pytest.approx(10, abs=0.3)
    assert values["load/in_flight_mean"] == pytest.approx(3.5)  # Little's law: rate times latency
    assert values["load/late_p99_s"] == pytest.approx(0) and values["load/late_share"] == 0
    assert values["latency/p95_s"] == pytest.approx(0.35) and values["ttft/p95_s"] == pytest.approx(0.30)


def test_a_slow_engine_is_not_asked_less_and_its_queue_is_latency(run):
    """One at a time, 0.2 s each, asked 10 times a second: the n-th waits for all before it."""
    _, answers, tally = run(lambda: Engine(lambda _: 0.2, slots=1), arrivals(every(0.1), 40))
    assert latencies(answers) == pytest.approx([0.2 + number * 0.1 for number in range(40)])
    values = measures(answers, tally, latency_p95_s=1.0)
    assert values["throughput/requests_per_s"] == pytest.approx(5, rel=0.06)
    assert values["goodput/share"] == pytest.approx(9 / 40)  # 0.2 ... 1.0 s
    assert values["goodput/requests_per_s"] == pytest.approx(10 * 9 / 40)


def test_a_full_load_waits_on_our_side_and_says_so(run):
    engine, answers, tally = run(lambda: Engine(lambda _: 1.0), arrivals(every(0.1), 10, most=2))
    assert engine.asked == pytest.approx([0, 0.1, 1.0, 1.1, 2.0, 2.1, 3.0, 3.1, 4.0, 4.1])
    assert latencies(answers)[9] == pytest.approx(4.1 + 1.0 - 0.9)  # from when it was due
    assert answers["9"].timing.late_s == pytest.approx(3.2)
    values = measures(answers, tally)
    assert tally.held == 8 and values["load/held_share"] == 0.8 and values["load/late_share"] == 0.8
    assert measures(answers, tally)["latency/p99_s"] > 3
    late = sum(one.timing.late_s for one in answers.values())
    assert values["wait/in_flight_s"] == pytest.approx(late), "one that finds room at once behind others waited as well"
    assert tally.slots_s == pytest.approx(tally.engine_s), "what waits for others of ours is not the harness's work"
    assert values["wait/share"] == pytest.approx(late / (late + 10))
    assert values["wait/rate_limit_s"] == values["wait/fault_s"] == values["wait/budget_s"] == 0
    (told,) = (note for note in written(tally) if "waited 6" in note)
    assert "our own limit" in told and "latencies contain it" in told


def test_what_we_are_late_counts_as_latency_and_is_told(run):
    def busy(one: load.Ask, _generation: Generation) -> None:
        if one.key == "0":
            asyncio.get_running_loop().now += 0.5  # something of ours takes half a second

    _, answers, tally = run(lambda: Engine(lambda _: 0.05), arrivals(every(0.1), 20), on_answer=busy)
    late = [answers[str(number)].timing.late_s for number in range(7)]
    assert late == pytest.approx([0, 0.45, 0.35, 0.25, 0.15, 0.05, 0], abs=1e-6)
    assert latencies(answers)[1] == pytest.approx(0.5)
    assert measures(answers, tally)["load/late_share"] == 5 / 20
    assert tally.slots_s - tally.engine_s > 1, "it is the harness's own share of the time"


def test_attempts_that_failed_are_part_of_the_latency(run):
    busy = Failure("rate_limited", "429", retryable=True, retry_after_s=1.5)
    _, answers, tally = run(lambda: Engine(lambda _: 0.2, fails=(busy,)), arrivals(every(1.0), 3))
    assert answers["0"].attempts == 2
    assert latencies(answers) == pytest.approx([1.7, 0.2, 0.2])
    assert answers["0"].timing.late_s == 0, "it left in time; the endpoint did not take it"
    assert tally.rate_limit_wait_s == 1.5 and tally.fault_wait_s == tally.in_flight_wait_s == 0


def test_waits_are_told_apart_by_what_they_are_for(run):
    busy = Failure("rate_limited", "429", retryable=True, retry_after_s=1.5)
    broken = Failure("server_error", "HTTP 500: oops", retryable=True, retry_after_s=4.0)
    _, answers, tally = run(lambda: Engine(lambda _: 0.2, fails=(busy, broken)), arrivals(every(20.0), 2))
    assert answers["0"].attempts == 3 and answers["1"].attempts == 1
    assert tally.rate_limit_wait_s == 1.5 and tally.fault_wait_s == 4.0
    assert tally.slots_s == pytest.approx(0.4) == tally.engine_s
    (told,) = written(tally)
    assert told.startswith("requests waited 93% of their time: 1.5 s for the provider's rate limits, 4 s after faults")


def test_waits_that_no_attempt_followed_are_not_counted(run):
    """tenacity 9 works out a wait before it sees that there were attempts enough."""
    broken = Failure("server_error", "HTTP 500: oops", retryable=True, retry_after_s=4.0)
    _, answers, tally = run(lambda: Engine(lambda _: 0.2, fails=(broken,) * 3), arrivals(every(1.0), 1))
    assert answers["0"].error is not None and answers["0"].attempts == 3
    assert tally.fault_wait_s == pytest.approx(8 + 2), "behind the last one it is looked whether the engine lives"


def written(tally: open_load.OpenTally) -> list[str]:
    measured = {**dataclasses.asdict(tally), "stats": {}}
    return [note for note in notes.notes(Generated(measured=measured), figures.Seen(())) if "waited" in note]


class Purse:
    """Lets `most` requests pass at a time and `pays` in all, as a budget does."""

    def __init__(self, most: int, pays: int) -> None:
        self.free, self.pays = asyncio.Semaphore(most), pays

    async def enter(self, _request: GenerationRequest, waits: Waits) -> Failure | None:
        came = asyncio.get_running_loop().time()
        await self.free.acquire()
        waits.budget_s += asyncio.get_running_loop().time() - came
        self.pays -= 1
        return None if self.pays >= 0 else Failure("over_budget", "not asked: it is spent")

    def exhausted(self, _seconds: float) -> None: ...

    def asks_again(self, _generation: Generation) -> bool:
        return False

    def leave(self, _request: GenerationRequest, _generation: Generation | None) -> None:
        self.free.release()


def test_a_request_that_a_budget_holds_back_is_late(run):
    engine, answers, tally = run(lambda: Engine(lambda _: 0.2), arrivals(every(0.1), 4), gate=Purse(1, 9))
    assert engine.asked == pytest.approx([0, 0.2, 0.4, 0.6])
    assert [answers[str(n)].timing.late_s for n in range(4)] == pytest.approx([0, 0.1, 0.2, 0.3], abs=1e-6)
    assert latencies(answers) == pytest.approx([0.2, 0.3, 0.4, 0.5])
    assert [answers[str(n)].timing.answer_ttft_s for n in range(4)] == pytest.approx([0.18, 0.28, 0.38, 0.48])
    values = measures(answers, tally)
    assert values["load/late_share"] == 0.75 and tally.in_flight_s == pytest.approx(0.4), "one at a time, for 0.4 s"


def test_a_request_that_a_budget_refuses_was_not_offered_and_is_not_late(run):
    engine, answers, tally = run(lambda: Engine(lambda _: 0.05), arrivals(every(0.1), 10), gate=Purse(9, 6))
    assert len(engine.asked) == tally.due == tally.answered == 6
    assert [answers[str(n)].error.kind for n in range(6, 10)] == ["over_budget"] * 4
    assert all(answers[str(n)].timing is None for n in range(6, 10))
    assert tally.in_flight_s == pytest.approx(6 * 0.05)


def test_what_failed_has_ended_and_the_engine_kept_up(run):
    """Refusals are no sign of a queue: an engine that refuses half of what is due keeps up with it."""
    refused = Failure("bad_request", "400")
    _, _, tally = run(
        lambda: Engine(lambda _: 0.05, fails=(None, refused) * 50), arrivals(every(0.1), 100, settle_s=1.0)
    )
    assert (tally.due, tally.ended, tally.answered) == (90, 90, 45)
    record = {**dataclasses.asdict(tally), "stats": {}}
    said = notes.notes(Generated(measured=record), figures.Seen([]))
    assert not any("did not keep up" in note for note in said)
    behind = notes.notes(Generated(measured=record | {"ended": 30}), figures.Seen([]))
    assert any("90 requests were due" in note and "30 of them ended" in note for note in behind)


def test_a_question_that_cannot_be_built_was_not_due(run):
    broken = Generation("3", None, Failure("unreadable_image", "не картинка"))
    _, answers, tally = run(lambda: Engine(lambda _: 0.05), arrivals(every(0.1), 10), unbuilt={3: broken})
    assert answers["3"].error.kind == "unreadable_image" and (tally.due, tally.answered) == (9, 9)


def test_what_waits_before_the_gate_is_not_the_engines_time(run):
    """Beside one at a time, the second of two requests waits for 0.5 s on our side."""
    _, _, tally = run(lambda: Engine(lambda _: 0.5), arrivals([0.0, 0.0, 1.0], 2), gate=Purse(1, 9))
    assert tally.engine_s == pytest.approx(1.0) and tally.slots_s == pytest.approx(1.0)


def test_replicas_share_what_is_under_way(run):
    engine, _, _ = run(
        lambda: Engine(lambda number: 5.0 if number == 0 else 0.05), arrivals(every(0.1), 9), endpoints=2
    )
    assert engine.urls == ["http://0", *["http://1"] * 8]


def test_an_engine_that_is_gone_ends_the_load_with_what_was_not_answered(run):
    lost = Failure("connection", "reset")
    with pytest.raises(load.EngineGone) as gone:
        run(lambda: Engine(lambda _: 10.0, fails=(None, None, lost)), arrivals(every(0.1), 100), alive=False)
    assert {"0", "1", "2"} <= {one.key for one in gone.value.unanswered}


def test_fewer_questions_than_times_end_the_load_at_the_next_time(run):
    due = dataclasses.replace(arrivals(every(0.5), 4, settle_s=0.5), count=2)
    _, _, tally = run(lambda: Engine(lambda _: 3.0), due)
    assert (tally.due, tally.wall_s) == (1, pytest.approx(0.5))


def test_a_load_that_was_interrupted_before_it_settled_measures_no_rate(run):
    def full(_one: load.Ask, _generation: Generation) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        run(lambda: Engine(lambda _: 0.1), arrivals(every(0.1), 100, settle_s=5.0), on_answer=full)
