"""The load loop against a real endpoint: concurrency, retries, failures that stay alone, an engine that dies."""

import asyncio
from collections.abc import Iterator

import pytest

from backends.api import Endpoint, Generation, GenerationRequest, Message, TextPart, Timing
from runner.asking import load, open_load
from runner.datasets.images import BadImage
from runner.planning.arrivals import Arrivals
from tests.backends.scripted_endpoint import ScriptedEndpoint
from tests.runner.asking.virtual_time import virtual_time


def asks(count: int, broken: frozenset[int] = frozenset()) -> Iterator[load.Ask]:
    for number in range(count):
        yield load.Ask(str(number), str(number), 0, lambda number=number: request(number, broken))


def request(number: int, broken: frozenset[int]) -> GenerationRequest:
    if number in broken:
        raise BadImage(f"{number}.png: the file is empty")
    return GenerationRequest(str(number), (Message("user", (TextPart(f"question {number}"),)),))


def run(scenario: str, questions: Iterator[load.Ask], *, concurrency: int = 1, retries: int = 0, alive: bool = True):
    answers: list[tuple[load.Ask, Generation]] = []
    tally = load.Tally()

    async def main() -> None:
        async with ScriptedEndpoint() as scripted:
            await load.load(
                questions,
                [scripted.endpoint(scenario)],
                tally,
                concurrency=concurrency,
                retries=retries,
                timeout_s=5,
                alive=lambda: alive,
                on_answer=lambda ask, generation: answers.append((ask, generation)),
            )

    asyncio.run(main())
    return answers, tally


@pytest.mark.parametrize("concurrency", [1, 4, 16])
def test_every_question_is_answered_once(concurrency: int):
    answers, tally = run("good", asks(9), concurrency=concurrency)
    assert sorted(int(ask.key) for ask, _ in answers) == list(range(9))
    assert {generation.text for _, generation in answers} == {"Петров"}
    assert (tally.asked, tally.answered, tally.chars, tally.output_tokens) == (9, 9, 54, 18)
    assert 0 < tally.engine_s <= tally.slots_s and tally.wall_s > 0


def test_a_question_that_cannot_be_built_fails_alone():
    answers, tally = run("good", asks(5, frozenset({1, 3})), concurrency=2)
    failed = {ask.key: generation.error for ask, generation in answers if generation.error}
    assert set(failed) == {"1", "3"}
    assert all(error.kind == "bad_input" and "empty" in error.message for error in failed.values())
    assert (tally.asked, tally.answered) == (5, 3)


def test_what_may_pass_is_tried_again_and_what_may_not_is_not():
    (again,), tally = run("status_500", asks(1), retries=2)
    assert again[1].attempts == 3 and again[1].error.kind == "server_error"
    assert tally.slots_s < tally.wall_s, "the waits between attempts are nobody's work"
    (once,), _ = run("status_400", asks(1), retries=2)
    assert once[1].attempts == 1 and once[1].error.kind == "bad_request"


def test_a_dead_engine_ends_the_load_with_one_exception():
    with pytest.raises(load.EngineGone):
        run("half_stream", asks(8), concurrency=4, alive=False)


def test_what_on_answer_raises_ends_the_load():
    def full(_ask: load.Ask, _generation: Generation) -> None:
        raise OSError("No space left on device")

    async def main() -> None:
        async with ScriptedEndpoint() as scripted:
            endpoint = scripted.endpoint("good")
            options = {"concurrency": 3, "retries": 0, "timeout_s": 5, "alive": lambda: True, "on_answer": full}
            await load.load(asks(9), [endpoint], load.Tally(), **options)

    with pytest.raises(OSError, match="No space left"):
        asyncio.run(main())


class OneSecond:
    """A client whose answers take a second, and that of question N as many turns of the event loop more."""

    def __init__(self, endpoint: Endpoint, **_: object) -> None:
        self.endpoint = endpoint

    async def __aenter__(self) -> "OneSecond":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def ask(self, asked: GenerationRequest) -> Generation:
        await asyncio.sleep(1)
        for _ in range(int(asked.key)):
            await asyncio.sleep(0)
        return Generation(asked.key, "Петров", None, timing=Timing(0.0, 1.0))


@pytest.mark.parametrize("kind", ["closed", "open"])
def test_an_answer_that_came_is_stored_though_another_one_ends_the_load(kind: str, monkeypatch: pytest.MonkeyPatch):
    """An answer waits a moment before it is stored; what interrupts the load just then must not lose it."""
    kept: list[str] = []

    def keep(ask: load.Ask, _generation: Generation) -> None:
        kept.append(ask.key)
        if len(kept) == 1:
            raise OSError("No space left on device")

    async def main() -> None:
        given = (asks(2), [Endpoint("http://127.0.0.1:9/v1", "model")])
        how = {"retries": 0, "timeout_s": 5, "alive": lambda: True, "on_answer": keep}
        if kind == "closed":
            await load.load(*given, load.Tally(), concurrency=2, **how)
        else:
            at_once = Arrivals("test", 2, 0.0, 2, lambda: iter([0.0] * 3))
            await open_load.open_load(*given, open_load.OpenTally(), at_once, **how)

    for module in (load, open_load):
        monkeypatch.setattr(module, "Client", OneSecond)
    with virtual_time() as runner, pytest.raises(OSError, match="No space left"):
        runner.run(main())
    assert kept == ["0", "1"]
