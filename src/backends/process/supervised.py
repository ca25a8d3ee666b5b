"""The runner's end of a watchdog: a process that can be measured and that is gone when it is stopped."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from backends.api import Undo
from backends.process import undoing
from backends.process.environments import own_package_variables

_REPLY_TIMEOUT_S = 30.0
_TAG = "RUNNER_ENGINE_TAG"  # in the environment of every descendant, also of those in other sessions


class SupervisedProcess:
    """A process under a watchdog. Its methods block, may be called from any thread, and need no event loop."""

    def __init__(
        self, argv: Sequence[str], variables: Mapping[str, str], log_path: Path, undo: Undo | None = None
    ) -> None:
        """Start `argv`; its output is appended to `log_path`. Raise OSError where that can't be done.

        `undo` is run when it has ended.
        """
        self._lock = threading.Lock()
        self._buffer = b""
        self._asked = 0
        self._last: dict[str, Any] | None = None  # the watchdog's last line
        self._undo = undo
        self._tag = secrets.token_hex(8)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        with log_path.open("ab") as log:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-m", "backends.process.watchdog"],
                env=os.environ | own_package_variables(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,  # Ctrl-C in a terminal is the runner's to handle
            )
        try:
            # Through the pipe, so that a secret stands neither in a command line nor in the watchdog's environment.
            environment = {**os.environ, **variables, _TAG: self._tag}
            order = {"argv": list(argv), "variables": environment, "runner": os.getpid()}
            self._send(order | ({"undo": undoing.as_order(undo)} if undo else {}))
            self.pid = self._started_pid()
            self._process: psutil.Process | None = None  # None: it has ended already
            with suppress(psutil.NoSuchProcess):
                self._process = psutil.Process(self.pid)
        except BaseException:
            if undo is None:  # else the end of the pipe makes it undo what was begun
                self._watchdog.kill()
            self._release()
            raise

    @property
    def watchdog_pid(self) -> int:
        """The process id of the watchdog."""
        return self._watchdog.pid

    def running(self) -> bool:
        """Whether the process itself runs; true for no moment after its death."""
        if self._watchdog.poll() is not None or self._process is None:
            return False
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def exit_code(self, timeout_s: float = 5.0) -> int | None:
        """Return the exit code of a process that has ended, negative for a signal; None where nobody knows it."""
        with self._lock:
            deadline = time.monotonic() + timeout_s
            while self._last is None and self._receive(max(0.0, deadline - time.monotonic())) is not None:
                pass
            code = (self._last or {}).get("exited")
            return None if code is None else int(code)

    def mark(self) -> int | None:
        """Begin a new window of memory peaks; None where the process has ended."""
        reply = self._ask({"do": "mark"})
        return None if reply is None else int(reply["window"])

    def since(self, window: int) -> dict[str, Any]:
        """Return the peaks of a window, also of a process that has ended in the meantime."""
        reply = self._ask({"do": "since", "window": window})
        if reply is None:
            reply = (self._last or {}).get("windows", {}).get(str(window))
        return reply or {"notes": ["the watchdog is gone, and the memory peaks with it"]}

    def stop(self, grace_s: float = 5.0) -> None:
        """Ask the process to end, then kill it and all its descendants. Safe to call twice.

        What is to be undone is undone before this returns, which may take minutes.
        """
        with self._lock:
            if self._watchdog.stdin is None or self._watchdog.stdin.closed:
                return
            with suppress(OSError):
                self._send({"do": "stop", "grace_s": grace_s})
            try:
                while self._last is None and self._receive(grace_s + 15.0) is not None:
                    pass
                self._watchdog.wait(5.0 + (undoing.longest_s(self._undo) if self._undo else 0.0))
            except subprocess.TimeoutExpired:
                self._watchdog.kill()
                self._watchdog.wait()
            if self._last is None:  # the watchdog was killed: what it looked after may be anywhere
                self._kill_the_rest()
            self._release()
            if self._undo is not None and self._watchdog.returncode != 0:  # killed, perhaps before it had undone it
                record = self._undo.record
                if record is None or Path(record).exists():
                    undoing.run(self._undo, os.environ, lambda _: None, is_over=False)

    def _started_pid(self) -> int:
        started = self._receive(_REPLY_TIMEOUT_S) or {}
        if "pid" not in started:
            raise OSError(started.get("error", "the watchdog above it did not start; see the log"))
        return int(started["pid"])

    def _ask(self, command: dict[str, Any]) -> dict[str, Any] | None:
        """Return the watchdog's reply, None where the process has ended or nobody replies."""
        with self._lock:
            if self._last is not None or self._watchdog.stdin is None or self._watchdog.stdin.closed:
                return None
            self._asked += 1
            with suppress(OSError):  # a broken pipe: its last words can still be read
                self._send({**command, "id": self._asked})
            while (reply := self._receive(_REPLY_TIMEOUT_S)) is not None and self._last is None:
                if reply.get("id") == self._asked:  # or it is a late reply to a question that was given up
                    return reply
            return None

    def _send(self, command: dict[str, Any]) -> None:
        assert self._watchdog.stdin is not None
        line = json.dumps(command).encode() + b"\n"
        while line:  # an unbuffered pipe may take less than all
            line = line[self._watchdog.stdin.write(line) or 0 :]

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next line, None when there is none within `timeout_s` or the watchdog is gone."""
        stdout = self._watchdog.stdout
        assert stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            if stdout.closed:
                return None
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                received = os.read(stdout.fileno(), 65_536)
                if not received:
                    return None
                self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        if "exited" in reply:
            self._last = reply
        return reply

    def _kill_the_rest(self) -> None:
        """Kill what is left of the engine: all in its session, and descendants that left it but carry the tag."""
        ours = self._process is not None and self._process.is_running()
        is_reused = psutil.pid_exists(self.pid) and not ours  # the number is somebody else's by now
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                in_session = not is_reused and os.getsid(process.pid) == self.pid
                if in_session or process.environ().get(_TAG) == self._tag:
                    process.kill()

    def _release(self) -> None:
        for pipe in (self._watchdog.stdin, self._watchdog.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._watchdog.wait()
