from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field

import pytest

from backends.api import EngineSpec
from backends.pool import Pool
from tests.patience import patient


@dataclass
class Stub:
    """An engine without a process."""

    spec: EngineSpec
    events: list[str] = field(default_factory=list)
    is_alive: bool = True
    breaks_on_close: bool = False

    def alive(self) -> bool:
        return self.is_alive

    def close(self) -> None:
        self.events.append(f"close {self.spec.checkpoint}")
        if self.breaks_on_close:
            raise OSError("no such process")


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def start(events: list[str]):
    def start(spec: EngineSpec) -> Stub:
        events.append(f"start {spec.checkpoint}")
        return Stub(spec, events)

    return start


def spec(name: str, **more: str) -> EngineSpec:
    return EngineSpec("fake", name, **more)


def test_equal_specs_share_an_engine(start, events: list[str]) -> None:
    pool = Pool()
    first, started = pool.acquire(spec("a", args=(("x", "1"),)), start)
    again, started_again = pool.acquire(spec("a", args=(("x", "1"),)), start)
    assert (started, started_again) == (True, False)
    assert again is first
    other, _ = pool.acquire(spec("a", args=(("x", "2"),)), start)
    assert other is not first
    assert events == ["start a", "close a", "start a"]


def test_a_later_job_may_want_another_size(start, events: list[str]) -> None:
    with Pool(max_engines=3) as pool:
        for name in "abc":
            pool.acquire(spec(name), start)
        pool.resize(1)
        assert events[3:] == ["close a", "close b"] and len(pool) == 1
        pool.resize(2)
        pool.acquire(spec("d"), start)
        assert len(pool) == 2
        with pytest.raises(ValueError, match="at least 1"):
            pool.resize(0)


def test_the_least_recently_used_is_closed_before_another_starts(start, events: list[str]) -> None:
    with Pool(max_engines=2) as pool:
        for name in "abac":
            pool.acquire(spec(name), start)
        assert events == ["start a", "start b", "close b", "start c"]
        assert len(pool) == 2
    assert sorted(events[4:]) == ["close a", "close c"]


def test_a_dead_engine_is_closed_and_never_handed_out(start, events: list[str]) -> None:
    pool = Pool(max_engines=2)
    first, _ = pool.acquire(spec("a"), start)
    first.is_alive = False
    second, started = pool.acquire(spec("a"), start)
    assert started and second is not first
    assert events == ["start a", "close a", "start a"]


def test_a_failed_start_is_passed_on_and_kept_nowhere(start, events: list[str]) -> None:
    def fail(_: EngineSpec) -> Stub:
        raise RuntimeError("no GPU")

    pool = Pool()
    with pytest.raises(RuntimeError, match="no GPU"):
        pool.acquire(spec("a"), fail)
    assert len(pool) == 0
    assert pool.acquire(spec("a"), start)[1]


def test_all_are_closed_even_where_one_breaks(start, events: list[str]) -> None:
    pool = Pool(max_engines=2)
    pool.acquire(spec("a"), start)[0].breaks_on_close = True
    pool.acquire(spec("b"), start)[0].breaks_on_close = True
    pool.close()
    pool.close()
    assert sorted(events[2:]) == ["close a", "close b"]
    with pytest.raises(RuntimeError, match="closed"):
        pool.acquire(spec("a"), start)


def test_closing_does_not_wait_for_a_start_and_ends_what_comes_of_it(events: list[str]) -> None:
    is_starting, may_go_on = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def start_slowly(wanted: EngineSpec) -> Stub:
        is_starting.set()
        assert may_go_on.wait(patient(10))
        return Stub(wanted, events)

    def acquire() -> None:
        try:
            pool.acquire(spec("a"), start_slowly)
        except RuntimeError as error:
            errors.append(error)

    pool = Pool()
    thread = threading.Thread(target=acquire)
    thread.start()
    assert is_starting.wait(patient(10))
    pool.close()
    may_go_on.set()
    thread.join(10)
    assert "closed" in str(errors[0])
    assert events == ["close a"]


def test_a_pool_without_room() -> None:
    with pytest.raises(ValueError, match=r"pool\.max_engines=0"):
        Pool(0)


@pytest.mark.parametrize(
    ("first", "then", "starts"),
    [(9, 9, 1), (9, 4, 1), (None, 9, 1), (None, None, 1), (4, 9, 2), (9, None, 2)],
)
def test_an_engine_that_reserved_too_little_is_started_anew(
    start, events: list[str], first: int | None, then: int | None, starts: int
) -> None:
    pool = Pool(max_engines=1)
    pool.acquire(dataclasses.replace(spec("a"), largest_pixels=first), start)
    pool.acquire(dataclasses.replace(spec("a"), largest_pixels=then), start)
    assert events == ["start a", *(["close a", "start a"] if starts == 2 else [])]
