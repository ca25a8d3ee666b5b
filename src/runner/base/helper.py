"""A process beside this one, which works while this one waits for answers or for an engine.

An import holds the interpreter's lock for as long as 100 ms, and so would a thread that scales pictures in Python: the
latencies that are measured here meanwhile would be those of the lock. So such work is done by a process of its own, at
a low priority where answers are timed. Its tasks are the functions of a module's `TASKS`; they run one after the other,
in the order in which they were begun. It ends when this process does, however that ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
from multiprocessing.connection import Connection, Pipe
from types import FrameType
from typing import Any

from runner.base.errors import RunnerError

log = logging.getLogger(__name__)
LOWER_BY = 10  # a tenth of the weight of what has the usual priority (sched(7)); 19 would starve on a busy machine
LEAVE_S = 5.0  # that a task is given to end when its process is stopped
OURS = ("runner", "backends", "metrics")
# As multiprocessing's `spawn` does, but without importing the main module once more, which would import Hydra.
PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[3]); from runner.base import helper; helper.main()"


class HelperFailed(RunnerError):
    """A task failed in a way that nobody foresaw, with its traceback, or its process is gone."""


class Helper:
    """The process, seen from this one. Not to be used by several threads at once."""

    def __init__(self, tasks: str, *, low: bool) -> None:
        """Start it. `tasks` is the module whose `TASKS` it runs; `low`: at a low priority until it is waited for."""
        self._ours, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno()), tasks, json.dumps(sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal is for this process to handle
            )
        self._low = low
        self._begun = 0
        self._pending: dict[int, str] = {}
        self._replies: dict[int, tuple[Any, BaseException | None]] = {}
        if low:
            self._prioritise(LOWER_BY)

    @property
    def pid(self) -> int:
        """Return the number of its process."""
        return self._process.pid

    def begin(self, task: str, **given: Any) -> int:
        """Have a task done after those that were begun before; return its number, for `result`."""
        self._begun += 1
        self._pending[self._begun] = task
        with contextlib.suppress(OSError):  # it is gone, which `result` tells
            self._ours.send((self._begun, task, given))
        return self._begun

    def busy(self) -> bool:
        """Say whether a task is not done yet."""
        while self._pending and self._ours.poll():
            self._receive()
        return bool(self._pending)

    def result(self, number: int) -> Any:
        """Wait for a task, and return what it returned or raise what it raised. Raise HelperFailed for all else."""
        if self._low and number in self._pending:
            self._prioritise(0)
        try:
            while number in self._pending:
                self._receive()
        finally:
            if self._low:
                self._prioritise(LOWER_BY)
        value, error = self._replies.pop(number)
        if error is not None:
            raise error
        return value

    def stop(self) -> None:
        """End the process; a task that it is at is interrupted. Safe to call twice."""
        self._ours.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        self._process.kill()
        self._process.wait()

    def _receive(self) -> None:
        """Take one message: a reply, or a line for the log of this process."""
        try:
            number, value, error = self._ours.recv()
        except (EOFError, OSError):
            ended = self._process.wait()
            told = f"killed by {signal.Signals(-ended).name}" if ended < 0 else f"exit code {ended}"
            for number, task in self._pending.items():
                self._replies[number] = (None, HelperFailed(f"the process that does {task!r} has ended ({told})"))
            self._pending.clear()
            return
        if number is None:
            name, level, message = value
            logging.getLogger(name).log(level, "%s", message)
        else:
            del self._pending[number]
            self._replies[number] = (value, error)

    def _prioritise(self, lower_by: int) -> None:
        """Set its priority; only root may raise one, so that elsewhere it stays low."""
        with contextlib.suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, min(own + lower_by, 19))


# ------------------------------------------------------------------------------------------------- in the process


class _Forward(logging.Handler):
    """Sends log lines to the process that they are for."""

    def __init__(self, channel: Connection, sending: threading.Lock) -> None:
        super().__init__()
        self._channel, self._sending = channel, sending

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in OURS:
            with self._sending, contextlib.suppress(OSError):
                self._channel.send((None, (record.name, record.levelno, record.getMessage()), None))


def main() -> None:
    """Do tasks until the other end of the channel is closed."""
    channel, tasks = Connection(int(sys.argv[1])), sys.argv[2]
    signal.signal(signal.SIGTERM, _interrupted)
    orders: queue.SimpleQueue[tuple[int, str, dict[str, Any]] | None] = queue.SimpleQueue()
    sending = threading.Lock()
    logging.basicConfig(level=logging.INFO, handlers=[_Forward(channel, sending)])
    threading.Thread(target=_take, args=(channel, orders), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        while (order := orders.get()) is not None:
            number, task, given = order
            reply = (number, *_done(tasks, task, given))
            with sending, contextlib.suppress(OSError):
                channel.send(reply)
    os._exit(0)  # no thread of a library keeps it


def _take(channel: Connection, orders: queue.SimpleQueue[Any]) -> None:
    """Queue what comes. At the end of the channel, interrupt what is being done, and end soon in any case."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            orders.put(channel.recv())
    orders.put(None)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    threading.Event().wait(LEAVE_S - 1)
    os._exit(1)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _done(tasks: str, task: str, given: dict[str, Any]) -> tuple[Any, BaseException | None]:
    """Return what a task returned and what it raised."""
    try:
        return importlib.import_module(tasks).TASKS[task](**given), None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the task was begun
        expected = isinstance(error, RunnerError) or type(error) is ValueError
        if expected:
            with contextlib.suppress(Exception):
                pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
                return None, error.with_traceback(None)
        return None, HelperFailed(traceback.format_exc())
