"""The small process above every engine: `python -m backends.process.watchdog`, started by `supervised.py`.

It starts the engine in a session of its own, measures its memory, writes what it says into the log with secrets blanked
out, and ends it with all its descendants when the pipe from the runner ends, however the runner died. It reads one JSON
object a line and writes one back:

    {"argv": [...], "variables": {...}, "runner": 4711}   -> {"pid": 4712} or {"error": "..."}
    {"do": "mark", "id": 1}                               -> {"window": 1, "id": 1}
    {"do": "since", "window": 1, "id": 2}                 -> {"cpu_peak_bytes": ..., ..., "id": 2}
    {"do": "stop", "grace_s": 5}                          -> the last line
    the engine has ended, by itself or not                -> {"exited": -9, "windows": {...}}, the last line

Where the order holds an `"undo": {...}`, its command is run when the engine has ended (`undoing.py`).
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil

from backends.process import undoing
from backends.process.gpu import Gpus
from backends.process.memory import POLL_S, Sampler
from backends.redaction import of_environment, redactor

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_KILL_TIMEOUT_S = 10.0
_LAST_WORDS_S = 3.0
_LINE_S = 0.5  # a line without an end is written after this time
_LONGEST_LINE = 65_536
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before the fork, where it would be unsafe

Find = Callable[[], psutil.Process | None]  # of the first of the engine's processes


class _RunnerGone(Exception):
    """The pipe from the runner has ended."""


class _Commands:
    """Lines of JSON from the runner."""

    def __init__(self) -> None:
        self._buffer = b""

    def next(self, timeout_s: float | None) -> dict[str, Any] | None:
        """Return the next command, None after `timeout_s`. Raise _RunnerGone at the end of the pipe."""
        while b"\n" not in self._buffer:
            if not select.select([0], [], [], timeout_s)[0]:
                return None
            received = os.read(0, 65_536)
            if not received:
                raise _RunnerGone
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        command: dict[str, Any] = json.loads(line)
        return command


class _Watchdog:
    """Keeps one engine."""

    def __init__(self, pid: int, runner: int, sampler: Sampler, output: _Output, find: Find | None) -> None:
        self._pid, self._sampler, self._output = pid, sampler, output
        self._runner, self._find = runner, find
        self._exit_code: int | None = None
        self._asked_to_end = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def watch(self, commands: _Commands) -> None:
        """Serve until the engine or the runner has ended; leave nothing behind."""
        grace_s = 0.0
        try:
            while self._exit_code is None and not self._asked_to_end and self._runner_lives():
                command = commands.next(POLL_S)
                if command is not None and command["do"] == "stop":
                    grace_s = float(command["grace_s"])
                    break
                if command is not None:
                    _say({**self._answer(command), "id": command.get("id")})
                self._reap()
                self._sampler.poll()
        except (_RunnerGone, BrokenPipeError):
            pass
        finally:
            self._end(grace_s)
            self._output.end()
        with suppress(BrokenPipeError):
            _say({"exited": self._exit_code, "windows": self._sampler.all_windows()})

    @property
    def ended_by_itself(self) -> bool:
        """Whether the engine's command was not killed."""
        return self._exit_code is not None and self._exit_code >= 0

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        if command["do"] == "mark":
            if self._find is not None and self._sampler.root is None:
                self._sampler.follow(self._find())
            return {"window": self._sampler.mark()}
        if command["do"] == "since":
            return self._sampler.since(int(command["window"]))
        return {"error": f"unknown command {command['do']!r}"}

    def _runner_lives(self) -> bool:
        """Ask the system as well: a process forked off the runner may hold the pipe open after the runner's death."""
        return os.getppid() == self._runner

    def _on_signal(self, *_: object) -> None:
        self._asked_to_end = True

    def _reap(self) -> None:
        """Take the exit codes of the engine and of strays that were handed to us."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._pid:
                    self._exit_code = os.waitstatus_to_exitcode(status)

    def _end(self, grace_s: float) -> None:
        """Ask the engine's group to end, then kill whatever descends from it, also from other sessions."""
        if grace_s > 0 and self._exit_code is None:
            self._signal_group(signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while self._exit_code is None and time.monotonic() < deadline:
                time.sleep(0.02)
                self._reap()
        deadline = time.monotonic() + _KILL_TIMEOUT_S
        while time.monotonic() < deadline:
            descendants = psutil.Process().children(recursive=True)
            self._signal_group(signal.SIGKILL)
            for process in descendants:
                with suppress(psutil.Error):
                    process.kill()
            self._reap()
            if not descendants:
                return
            time.sleep(0.01)
        sys.stderr.write("watchdog: processes of the engine could not be killed (waiting for a device?)\n")

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)


class _Output:
    """What the engine says: a thread takes it from a pipe to our stderr, line by line, with its secrets blanked out."""

    def __init__(self, variables: dict[str, str]) -> None:
        self._read, self.write = os.pipe()
        self._redact = redactor(of_environment(variables))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin; only after the engine was started, since forking wants a single thread."""
        os.close(self.write)
        self._thread.start()

    def end(self) -> None:
        """Wait for the last words."""
        self._thread.join(_LAST_WORDS_S)

    def say(self, text: str) -> None:
        """Write words of ours."""
        self._say(text.encode("utf-8", "replace"), whole=True)

    def _run(self) -> None:
        rest = b""
        while True:
            if rest and not select.select([self._read], [], [], _LINE_S)[0]:
                rest = self._say(rest, whole=True)  # a prompt, a progress bar: nothing follows for now
                continue
            received = os.read(self._read, 65_536)
            if not received:
                self._say(rest, whole=True)
                return
            rest = self._say(rest + received, whole=len(rest) > _LONGEST_LINE)

    def _say(self, text: bytes, *, whole: bool) -> bytes:
        """Write the whole lines of `text`, or all of it, and return what is left."""
        end = len(text) if whole else max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        if end:
            clean = self._redact(text[:end].decode("utf-8", "surrogateescape"))
            with suppress(OSError):  # a full disk must not stop the engine
                os.write(2, clean.encode("utf-8", "surrogateescape"))
        return text[end:]


def _spawn(argv: list[str], variables: dict[str, str], output: int) -> int:
    """Start the engine in a session of its own; it writes to `output`."""
    watchdog = os.getpid()

    def die_with_the_watchdog() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != watchdog:  # it died before the line above
            os._exit(1)

    process = subprocess.Popen(
        argv,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=die_with_the_watchdog,  # noqa: PLW1509  this process has one thread
    )
    process.returncode = 0  # we wait for it ourselves, together with its strays
    return process.pid


def _prctl(option: int, value: int) -> None:
    """Ask Linux for a property of this process; other systems do without."""
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def _say(reply: dict[str, Any]) -> None:
    os.write(1, json.dumps(reply).encode() + b"\n")


def main() -> None:
    """Read the order, start the engine, keep it."""
    commands = _Commands()
    try:
        order = commands.next(None)
    except _RunnerGone:
        return
    assert order is not None
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    gpus = Gpus.open()
    undo, variables = undoing.of_order(order["undo"]) if order.get("undo") else (None, {})
    try:
        output = _Output(order["variables"])
        if undo is not None:
            undoing.keep_record(undo)
        pid = _spawn(order["argv"], order["variables"], output.write)
    except OSError as error:
        if undo is not None:
            undoing.forget(undo)
        _say({"error": f"{error.filename or order['argv'][0]}: {error.strerror or error}"})
        return
    find = functools.partial(undoing.find, undo, variables) if undo is not None and undo.find else None
    sampler: Sampler | None = None
    watchdog: _Watchdog | None = None
    try:
        output.start()
        sampler = Sampler(None if find else psutil.Process(), gpus)
        watchdog = _Watchdog(pid, order["runner"], sampler, output, find)
        _say({"pid": pid})
        watchdog.watch(commands)
    finally:
        if undo is not None:
            is_over = watchdog is not None and watchdog.ended_by_itself
            seen = sampler.root if sampler is not None and find is not None else None  # else it is this process
            undoing.run(undo, variables, output.say, is_over=is_over, seen=seen)


if __name__ == "__main__":
    main()
