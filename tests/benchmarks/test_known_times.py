"""Our times lie between what the endpoint recorded and what passed around them, however slow the machine is."""

import asyncio
import time
from functools import partial

import numpy as np
import pytest

from backends.api import Endpoint, Generation, GenerationRequest, Message, TextPart
from benchmarks.parts.timed_endpoint import Script, serving
from runner.asking.load import Ask, Tally, load
from runner.asking.open_load import OpenTally, open_load
from runner.planning.arrivals import Arrivals
from tests.patience import patient

SCRIPT = Script(first_ms=20, spread_ms=10, between_ms=4, pieces=5)
COUNT = 6


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_times_and_counts_are_those_of_the_endpoint(kind: str):
    built: dict[int, float] = {}
    answers: dict[int, tuple[Generation, float]] = {}

    def build(number: int) -> GenerationRequest:
        built[number] = time.monotonic()
        return GenerationRequest(str(number), (Message("user", (TextPart(str(number)),)),))

    def keep(ask: Ask, generation: Generation) -> None:
        answers[int(ask.key)] = (generation, time.monotonic())

    tally = OpenTally()

    async def main() -> list[list[float]]:
        asks = (Ask(str(number), str(number), 0, partial(build, number)) for number in range(COUNT))
        async with serving(SCRIPT) as server:
            endpoint = Endpoint(f"{server.url}/v1", "model")
            how = {"retries": 0, "timeout_s": patient(60), "alive": lambda: True, "on_answer": keep}
            if kind == "closed":
                await load(asks, [endpoint], tally, concurrency=1, **how)
            else:
                arrivals = Arrivals("test", COUNT, 0.0, 1, lambda: (0.01 * number for number in range(COUNT + 1)))
                await open_load(asks, [endpoint], tally, arrivals, **how)
            return server.kept

    records = asyncio.run(main())
    assert len(records) == COUNT
    for number, times in enumerate(records):  # one at a time: they are answered in the order in which they were asked
        generation, answered = answers[number]
        assert generation.error is None and generation.timing is not None
        timing = generation.timing
        assert timing.ttft_s is not None and times[1] - times[0] <= timing.ttft_s
        assert times[-1] - times[0] <= timing.latency_s <= answered - min(built[number], built[0])
        assert timing.ttft_s < timing.latency_s
        assert timing.tokens_after_first == SCRIPT.pieces - 1
        assert generation.completion_tokens == SCRIPT.pieces
    if kind == "closed":
        assert tally.output_tokens == COUNT * SCRIPT.pieces
        assert records[-1][-1] - records[0][0] <= tally.wall_s
    else:  # one connection: the second waited for the first, and its wait is part of its latency
        waits = [answers[number][0].timing.late_s for number in range(1, COUNT)]
        assert np.all(np.array(waits) > 0)


def test_planned_times_are_never_anticipated():
    """What the endpoint records is what it did: nothing is sent before its time."""

    async def main() -> list[list[float]]:
        async with serving(SCRIPT) as server:
            asks = iter([Ask("0", "0", 0, lambda: GenerationRequest("0", (Message("user", (TextPart("?"),)),)))])
            endpoint = Endpoint(f"{server.url}/v1", "model")
            await load(
                asks, [endpoint], Tally(), concurrency=1, retries=0, timeout_s=patient(60), alive=lambda: True,
                on_answer=lambda _ask, _generation: None,
            )  # fmt: skip
            return server.kept

    (times,) = asyncio.run(main())
    planned = [SCRIPT.due_ms(0, n) / 1000 for n in range(SCRIPT.pieces)]
    assert all(at - times[0] >= due - 1e-3 for at, due in zip(times[1:], planned, strict=True))


def test_the_spread_of_first_pieces_is_even_and_the_same_each_time():
    script = Script(first_ms=100, spread_ms=80)
    first = np.sort([script.due_ms(number, 0) for number in range(96)])
    assert first[0] >= 100 and first[-1] < 180
    assert np.abs(first - np.linspace(100, 180, 96)).max() < 2
    assert script.due_ms(5, 3) == script.due_ms(5, 0) + 3 * script.between_ms
