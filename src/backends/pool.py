"""Engines that are kept warm between jobs."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Self

from backends.api import Engine, EngineSpec

logger = logging.getLogger(__name__)

_CLOSED = "the pool is closed"


class Pool:
    """At most `max_engines` engines at a time, by their spec; the least recently used one makes room.

    `max_engines` is therefore also how many may be in use at once. The pool closes nothing by itself at the end of the
    process: call `close`, or use it as a context manager.
    """

    def __init__(self, max_engines: int = 1) -> None:
        """Raise ValueError for a pool without room."""
        self._max_engines = _at_least_one(max_engines)
        self._engines: OrderedDict[EngineSpec, Engine] = OrderedDict()  # the least recently used one first
        self._acquiring = threading.Lock()  # held through a start, which may take minutes: `close` must not wait for it
        self._lock = threading.Lock()
        self._closed = False

    def acquire(self, spec: EngineSpec, start: Callable[[EngineSpec], Engine]) -> tuple[Engine, bool]:
        """Return a live engine for `spec`, and whether it had to be started by `start`.

        What `start` raises is passed on. An engine that died is closed and started anew.
        """
        with self._acquiring:
            with self._lock:
                self._refuse_when_closed()
                for dead in [known for known, engine in self._engines.items() if not engine.alive()]:
                    _close(self._engines.pop(dead))  # its descendants may still live, and hold memory
                if spec in self._engines:
                    self._engines.move_to_end(spec)
                    return self._engines[spec], False
                while len(self._engines) >= self._max_engines:  # before the start: two may not fit into memory
                    _close(self._engines.popitem(last=False)[1])
            engine = start(spec)
            with self._lock:
                if not self._closed:
                    self._engines[spec] = engine
                    return engine, True
            _close(engine)
            raise RuntimeError(_CLOSED)

    def resize(self, max_engines: int) -> None:
        """Keep at most this many from now on; those beyond it, the least recently used, are closed.

        Raise ValueError for a pool without room.
        """
        with self._acquiring, self._lock:
            self._max_engines = _at_least_one(max_engines)
            while len(self._engines) > self._max_engines:
                _close(self._engines.popitem(last=False)[1])

    def close(self) -> None:
        """Close all engines. Safe to call twice."""
        with self._lock:
            self._closed = True
            while self._engines:
                _close(self._engines.popitem()[1])

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
