"""Engines that are kept warm between jobs."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from backends.api import Engine, EngineSpec

logger = logging.getLogger(__name__)

_CLOSED = "the pool is closed"


_Key = tuple[EngineSpec, int]  # the spec, and which of its replicas


class Pool:
    """Engines of at most `max_engines` specs at a time; the least recently used ones make room. Replicas count as one.

    `max_engines` is therefore also how many may be in use at once. The pool closes nothing by itself at the end of the
    process: call `close`, or use it as a context manager.
    """

    def __init__(self, max_engines: int = 1) -> None:
        """Raise ValueError for a pool without room."""
        self._max_engines = _at_least_one(max_engines)
        self._engines: OrderedDict[_Key, Engine] = OrderedDict()  # the least recently used one first
        self._acquiring = threading.Lock()  # held through a start, which may take minutes: `close` must not wait for it
        self._lock = threading.Lock()
        self._closed = False

    def acquire(self, spec: EngineSpec, start: Callable[[EngineSpec], Engine]) -> tuple[Engine, bool]:
        """Return a live engine for `spec`, and whether it had to be started by `start`.

        What `start` raises is passed on. An engine that died is closed and started anew.
        """
        (engine,), started = self.acquire_all(spec, lambda spec, _number: start(spec), 1)
        return engine, started > 0

    def acquire_all(
        self, spec: EngineSpec, start: Callable[[EngineSpec, int], Engine], replicas: int
    ) -> tuple[list[Engine], int]:
        """Return so many live engines for `spec`, and how many had to be started by `start(spec, number)`.

        An engine that has reserved memory for smaller pictures only is closed and started anew. They are started at the
        same time. The first thing that a `start` raises is passed on, after all have ended;
        what started is kept for the next call.
        """
        keys = [(spec, number) for number in range(replicas)]
        with self._acquiring:
            with self._lock:
                self._refuse_when_closed()
                for dead in [known for known, engine in self._engines.items() if not engine.alive()]:
                    _close(self._engines.pop(dead))  # its descendants may still live, and hold memory
                for key in keys:  # it would show larger pictures smaller, or refuse them
                    if key in self._engines and not self._engines[key].spec.covers(spec):
                        _close(self._engines.pop(key))
                missing = [key for key in keys if key not in self._engines]
                if missing:
                    self._make_room(self._max_engines - 1, spec)  # before the start: two may not fit into memory
            self._start(missing, start)
            with self._lock:
                for key in keys:
                    self._engines.move_to_end(key)
                return [self._engines[key] for key in keys], len(missing)

    def _start(self, missing: list[_Key], start: Callable[[EngineSpec, int], Engine]) -> None:
        """Start what is missing and keep it; several at a time in threads, as a start is minutes of waiting."""
        if len(missing) == 1:
            return self._keep(missing[0], start(*missing[0]))
        errors: list[BaseException] = []
        with ThreadPoolExecutor(max(1, len(missing)), thread_name_prefix="start of a replica") as threads:
            for key, future in [(key, threads.submit(start, *key)) for key in missing]:
                try:
                    self._keep(key, future.result())
                except Exception as error:  # noqa: BLE001 - raised again below
                    errors.append(error)
        if errors:
            raise errors[0]
        return None

    def _keep(self, key: _Key, engine: Engine) -> None:
        with self._lock:
            if not self._closed:
                self._engines[key] = engine
                return
        _close(engine)
        raise RuntimeError(_CLOSED)

    def resize(self, max_engines: int) -> None:
        """Keep at most this many from now on; those beyond it, the least recently used, are closed.

        Raise ValueError for a pool without room.
        """
        with self._acquiring, self._lock:
            self._max_engines = _at_least_one(max_engines)
            self._make_room(self._max_engines)

    def close(self) -> None:
        """Close all engines. Safe to call twice."""
        with self._lock:
            self._closed = True
            while self._engines:
                _close(self._engines.popitem()[1])

    def _make_room(self, others: int, wanted: EngineSpec | None = None) -> None:
        """Close the engines of all but `others` specs, besides the wanted one."""
        latest_first = dict.fromkeys(spec for spec, _ in reversed(self._engines) if spec != wanted)
        for spec in reversed(list(latest_first)[others:]):
            for key in [key for key in self._engines if key[0] == spec]:
                _close(self._engines.pop(key))

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise RuntimeError(_CLOSED)

    def __len__(self) -> int:
        """Return how many engines are kept."""
        return len(self._engines)

    def __enter__(self) -> Self:
        """Return the pool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all engines."""
        self.close()


def _at_least_one(max_engines: int) -> int:
    if max_engines < 1:
        raise ValueError(f"pool.max_engines={max_engines}: at least 1 engine is needed")
    return max_engines


def _close(engine: Engine) -> None:
    try:
        engine.close()
    except Exception:  # whatever it is: the others must be closed, too
        logger.exception("the engine for %s could not be closed", engine.spec.checkpoint)
