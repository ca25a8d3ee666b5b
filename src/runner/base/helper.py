"""A helper process that works while this process waits for answers or for an engine.

An import holds the interpreter's lock for up to 100 ms, as does a thread that scales pictures in Python, which would
distort the latencies that this process measures. So such work is done by another process, with a low priority while
answers are timed. Its tasks are the functions in `TASKS` of a module. They run one after the other, in the order of the
calls of `begin`. The helper process ends when this process ends, for whatever reason.
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

from runner.base.errors import OURS, RunnerError

log = logging.getLogger(__name__)
LOWER_BY = 15  # 3% of the weight of what has the usual priority (sched(7)); it must not starve on a busy machine
CORES = 4
LEAVE_S = 5.0  # that a task is given to end when its process is stopped
# Like `spawn` of multiprocessing, but without importing the main module again, which would import Hydra.
PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[3]); from runner.base import helper; helper.main()"


def has_idle_cores() -> bool:
    """Say whether a process beside this one leaves the client and an endpoint on this machine their cores.

    On two busy cores the p50 of 600 answers after 50 ms rose in each of six turns, by 1 to 85%, at nice 15 and under
    SCHED_IDLE (benchmarks/RESULTS.md).
    """
    return len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)) >= CORES


class _Now:
    """What a task may ask while it runs in the helper process."""

    number = 0  # of the running task
    waited_for = 0  # the last task whose result is waited for
    is_ending = False


def is_waited_for() -> bool:
    """Return whether the result of the running task is waited for, so that it need not spare the cores any more."""
    return _Now.is_ending or _Now.waited_for >= _Now.number


def is_ending() -> bool:
    """Return whether the process shall end: a task's threads should leave what they do."""
    return _Now.is_ending


class HelperFailed(RunnerError):
    """A task failed with an unexpected error, whose traceback is the message, or the helper process has ended."""


class Helper:
    """Starts and controls the helper process. It must not be used by several threads at once."""

    def __init__(self, tasks: str, *, low: bool) -> None:
        """Start the process. `tasks` is the module with `TASKS`. `low` sets a low priority except during `result`."""
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
        """The process id of the helper process."""
        return self._process.pid

    def begin(self, task: str, **given: Any) -> int:
        """Queue a task. Return its number, by which `result` returns its result."""
        self._begun += 1
        self._pending[self._begun] = task
        with contextlib.suppress(OSError):  # the process has ended, which `result` will report
            self._ours.send((self._begun, task, given))
        return self._begun

    def busy(self) -> bool:
        """Return whether a task is not finished yet."""
        while self._pending and self._ours.poll():
            self._receive()
        return bool(self._pending)

    def result(self, number: int) -> Any:
        """Wait for a task. Return its result, or raise its error; raise HelperFailed for an unexpected error."""
        if number in self._pending:
            if self._low:
                self._prioritise(0)
            with contextlib.suppress(OSError):
                self._ours.send((number, None, {}))
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
        """End the process, and interrupt its current task. May be called twice."""
        self._ours.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        self._process.kill()
        self._process.wait()

    def _receive(self) -> None:
        """Receive one message: a reply, or a line for the log of this process."""
        try:
            number, value, error = self._ours.recv()
        except (EOFError, OSError):
            ended = self._process.wait()
            reason = f"killed by {signal.Signals(-ended).name}" if ended < 0 else f"exit code {ended}"
            for number, task in self._pending.items():
                self._replies[number] = (None, HelperFailed(f"the process that does {task!r} has ended ({reason})"))
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
    """Sends log lines to the process that started the helper."""

    def __init__(self, channel: Connection, sending: threading.Lock) -> None:
        super().__init__()
        self._channel, self._sending = channel, sending

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] in OURS:
            with self._sending, contextlib.suppress(OSError):
                self._channel.send((None, (record.name, record.levelno, record.getMessage()), None))


def main() -> None:
    """Run tasks until the other end of the channel is closed."""
    channel, tasks = Connection(int(sys.argv[1])), sys.argv[2]
    signal.signal(signal.SIGTERM, _interrupted)
    orders: queue.SimpleQueue[tuple[int, str, dict[str, Any]] | None] = queue.SimpleQueue()
    sending = threading.Lock()
    logging.basicConfig(level=logging.INFO, handlers=[_Forward(channel, sending)])
    threading.Thread(target=_take, args=(channel, orders), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):
        while (order := orders.get()) is not None:
            number, task, given = order
            _Now.number = number
            reply = (number, *_done(tasks, task, given))
            with sending, contextlib.suppress(OSError):
                channel.send(reply)
    os._exit(0)  # without waiting for threads of libraries


def _take(channel: Connection, orders: queue.SimpleQueue[Any]) -> None:
    """Queue the tasks that arrive, and note which is waited for.

    When the channel is closed, interrupt the current task, and exit within seconds.
    """
    with contextlib.suppress(EOFError, OSError):
        while True:
            number, task, given = channel.recv()
            if task is None:
                _Now.waited_for = number
            else:
                orders.put((number, task, given))
    _Now.is_ending = True
    orders.put(None)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    threading.Event().wait(LEAVE_S - 1)
    os._exit(1)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _done(tasks: str, task: str, given: dict[str, Any]) -> tuple[Any, BaseException | None]:
    """Run a task. Return its result and the error that it raised."""
    try:
        return importlib.import_module(tasks).TASKS[task](**given), None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the task was begun
        expected = isinstance(error, (RunnerError, ValueError))
        if expected:
            with contextlib.suppress(Exception):
                pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
                return None, error.with_traceback(None)
        return None, HelperFailed(traceback.format_exc())
