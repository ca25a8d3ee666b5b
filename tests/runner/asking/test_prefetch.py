"""Questions taken ahead: all of them, in order, once; and what was taken is never lost."""

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from runner.asking.prefetch import MOST, TURN_S, Prefetch, short_turns


def run_slots(prefetch: Prefetch, slots: int) -> list[int]:
    answered: list[int] = []

    async def slot() -> None:
        while (taken := await prefetch.next()) is not None:
            await asyncio.sleep(0)
            answered.append(taken.request)
            prefetch.done(taken)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(slots):
                group.create_task(slot())

    asyncio.run(main())
    return answered


@pytest.mark.parametrize("slots", [1, 2, 8, 64, 200])
@pytest.mark.parametrize("count", [0, 1, 7, 500])
def test_each_is_handed_out_once_and_built_outside_of_the_loop(slots: int, count: int):
    threads: set[str] = set()

    def build(question: int) -> int:
        threads.add(threading.current_thread().name)
        return question * 10

    prefetch = Prefetch(iter(range(count)), build, slots)
    assert sorted(run_slots(prefetch, slots)) == [question * 10 for question in range(count)]
    assert "MainThread" not in threads
    assert prefetch.stop() == ()


def test_one_slot_takes_nothing_ahead():
    """The second of two equal questions finds the answer of the first in the store, if it is taken after it."""
    events: list[str] = []

    def questions() -> Iterator[int]:
        for number in range(3):
            events.append(f"taken {number}")
            yield number

    async def main() -> None:
        prefetch = Prefetch(questions(), lambda question: question, 1)
        while (taken := await prefetch.next()) is not None:
            await asyncio.sleep(0.02)
            events.append(f"answered {taken.question}")
            prefetch.done(taken)

    asyncio.run(main())
    assert events == [f"{what} {number}" for number in range(3) for what in ("taken", "answered")]


def test_what_taking_raises_reaches_a_slot_after_what_was_taken_before():
    def questions() -> Iterator[int]:
        yield from range(MOST + 3)
        raise OSError("the disk is gone")

    prefetch = Prefetch(questions(), lambda question: question, 64)
    with pytest.raises(ExceptionGroup) as raised:
        run_slots(prefetch, 4)
    assert all(isinstance(error, OSError) for error in raised.value.exceptions)


def test_what_is_not_done_is_told_at_the_end():
    async def main() -> None:
        prefetch = Prefetch(iter(range(100)), lambda question: question, 64)
        first, second = await prefetch.next(), await prefetch.next()
        assert first is not None and second is not None
        prefetch.done(first)
        later = await prefetch.again(1000)
        assert later.request == 1000
        left = prefetch.stop()
        assert 0 not in left and {1, 1000} <= set(left) and len(left) <= 2 * MOST + 2
        while (taken := await prefetch.next()) is not None:
            assert taken.question in left
        assert await prefetch.next() is None

    asyncio.run(main())


def test_threads_take_short_turns_while_asking_and_no_longer():
    before = sys.getswitchinterval()
    with pytest.raises(KeyError), short_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
        raise KeyError
    assert sys.getswitchinterval() == before
