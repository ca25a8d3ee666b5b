"""Start an engine, wait until it serves, say why it died, stop it."""

from __future__ import annotations

import dataclasses
import re
import secrets
import shlex
import signal
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from backends.api import (
    Backend,
    Endpoint,
    Engine,
    EngineFailed,
    EngineSpec,
    EngineStats,
    Failure,
    FailureKind,
    Launch,
    Mark,
)
from backends.known_failures import PORT_IN_USE, first
from backends.process import environments, gpu_claims, local_http, paid_time
from backends.process.account import Account
from backends.process.endpoint import RunningEngine
from backends.process.environments import Environment
from backends.process.log import Log
from backends.process.supervised import SupervisedProcess
from backends.redaction import remember

_POLL_S = 0.1
_FAILED_EXIT_S = 3.0  # an engine that reports failure is given this long to end by itself
_SHOWN_LINES = 15
_SIGNALLED = 128  # plus the number of a signal: how shells and containers tell that a process was ended by it
_LAST_WORDS_BYTES = 16_384  # what it logged about a request long ago is not what it died of
_PORT_IN_USE = re.compile(PORT_IN_USE, re.IGNORECASE)

Progress = Callable[[str], None]


def start(
    backend: Backend,
    spec: EngineSpec,
    *,
    log_path: Path,
    timeout_s: float = 300.0,
    on_progress: Progress | None = None,
    environment: Environment | None = None,
    on_close: Callable[[], None] | None = None,
    cancelled: threading.Event | None = None,
) -> Engine:
    """Start the engine that `spec` names and return it when it serves.

    `on_progress` hears what the engine is at, each time that changes. Raises EngineFailed with the launch command and
    the last lines of the log where it ends or is not ready within `timeout_s` seconds, and ValueError for a spec that
    the backend or the environment refuses. A port that somebody else took in between costs a second try. `environment`
    is where it runs, by default the one that `spec.env` names; a missing one is built first, outside of `timeout_s`.
    `on_close` is called each time when the engine was closed. Once `cancelled` is set, it is not waited for any more.
    """
    say = on_progress or (lambda _: None)
    environment = environment or environments.find(spec.env)
    for is_last in (False, True):
        port = _free_port()
        launch = backend.launch(spec, port)
        if isinstance(launch, Endpoint):
            return RunningEngine(spec, launch)
        launch = dataclasses.replace(
            launch, variables={**environments.NO_TELEMETRY, **gpu_claims.order(), **launch.variables}
        )
        environment.build(say)
        engine = ServedEngine(backend, spec, environment.prepare(launch), port, log_path)
        try:
            engine.wait_until_ready(timeout_s, say, cancelled)
        except EngineFailed:
            engine.close()
            if is_last or not engine.port_was_taken():
                raise
        except BaseException:
            engine.close()
            raise
        else:
            engine.on_close = on_close
            return engine
    raise AssertionError("unreachable: the last try returns or raises")


class ServedEngine:
    """An engine of ours: a supervised process that serves on 127.0.0.1 under a random key."""

    def __init__(self, backend: Backend, spec: EngineSpec, launch: Launch, port: int, log_path: Path) -> None:
        """Start the process. Raise EngineFailed where there is no such command."""
        key = remember(secrets.token_hex(24))  # urlsafe ones may begin with "-", which a command line takes for a flag
        self.spec = spec
        self.launch = launch
        url = f"http://127.0.0.1:{port}{launch.api_path}"
        self.endpoint = Endpoint(
            url,
            launch.model,
            api_key=key,
            headers=launch.headers,
            token_ids=launch.token_ids,
            rename=launch.rename,
            extra=launch.extra,
            unread=launch.unread,
            dialect=launch.dialect,
            adapt=launch.adapt,
            stream=launch.stream,
        )
        self.load_s: float | None = None
        self.on_close: Callable[[], None] | None = None
        self._backend, self._port = backend, port
        self._log = Log(log_path, secret=key)
        self._began = time.monotonic()
        variables = {**launch.variables, launch.key_variable: key}
        if launch.port_variable:
            variables[launch.port_variable] = str(port)
        if launch.undo is not None:
            paid_time.began(launch.undo)
        try:
            self._process = SupervisedProcess(launch.argv, variables, log_path, launch.undo)
        except OSError as error:
            if launch.undo is not None:
                paid_time.ended(launch.undo)
            what = f"the engine could not be started: {error}"
            raise EngineFailed(Failure("start_failed", self._with_log(what))) from error
        self._account = Account(backend, launch, port, key, self._log, self._process)

    @property
    def pid(self) -> int:
        """The process id of the server; with `watchdog_pid`, for messages and tests."""
        return self._process.pid

    @property
    def watchdog_pid(self) -> int:
        """The process id of the watchdog above it."""
        return self._process.watchdog_pid

    @property
    def log_path(self) -> Path:
        """Where its output goes."""
        return self._log.path

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.running()

    def wait_until_ready(
        self, timeout_s: float, on_progress: Progress, cancelled: threading.Event | None = None
    ) -> None:
        """Ask for its health until it serves, watching the process. Raise EngineFailed where it won't.

        The time before the launch's `ready_marker` does not count: what is started then has time-outs of its own.
        """
        said = ""
        has_begun = not self.launch.ready_marker
        while not has_begun or time.monotonic() < self._began + timeout_s:
            if not self.alive():
                raise EngineFailed(self._start_failure())
            if cancelled is not None and cancelled.is_set():
                raise EngineFailed(Failure("start_failed", "it is not wanted any more"))
            if not has_begun and self.launch.ready_marker in self._log.head():
                has_begun, self._began = True, time.monotonic()
            health = local_http.health(self._port, self.launch.health_path, self.endpoint.api_key)
            if health.ready and self._is_ours():
                self.load_s = time.monotonic() - self._began
                return
            if health.failed:
                self._wait_for_death()
                raise EngineFailed(self._start_failure(health.detail))
            detail = health.detail or "".join(self._log.last_lines(1))
            if detail and detail != said:
                on_progress(detail)
                said = detail
            time.sleep(_POLL_S)
        what = (
            f"the engine was not ready within {timeout_s:g} s (backend.start_timeout_s); it was at: {said or 'nothing'}"
        )
        raise EngineFailed(Failure("start_failed", self._with_log(what)))

    def port_was_taken(self) -> bool:
        """Whether the log says that somebody else has the port."""
        return _PORT_IN_USE.search(self._log.tail()) is not None

    def crash_report(self) -> Failure:
        """Say why it died, with the exit code, the last lines of its log and the launch command."""
        if self.alive():
            return Failure("engine_died", "the engine still runs", retryable=True)
        ending = self._ending()  # first: the watchdog writes the last words before it tells of the end
        cause = self._translate(self._log.tail(_LAST_WORDS_BYTES))
        if cause is not None and cause.kind == "over_budget":
            return cause
        what = f"the engine died: {ending}" + (f". {cause.message}" if cause else "")
        kind: FailureKind = "out_of_memory" if cause is not None and cause.kind == "out_of_memory" else "engine_died"
        return Failure(kind, self._with_log(what), retryable=True)

    def mark(self) -> Mark:
        """Reset the peaks that can be reset and remember where the others stand."""
        return self._account.mark()

    def since(self, mark: Mark) -> EngineStats:
        """Return what was used since `mark`: the engine's own account and what the watchdog measured."""
        stats = self._account.since(mark)
        if self.spec.largest_pixels is None or not getattr(self._backend, "reserves_pixels", False):
            return stats
        reserved = {"reserved_for_pixels": str(self.spec.largest_pixels)}
        return dataclasses.replace(stats, facts={**stats.facts, **reserved})

    def close(self) -> None:
        """End the process and all its children; undo what else was begun. Safe to call twice."""
        self._account.close()
        with paid_time.until_undone(self.launch.undo, self._log.path):
            self._process.stop()
        if self.on_close is not None:
            self.on_close()

    def _is_ours(self) -> bool:
        """Whether what answers takes our key: another engine may have got the port a moment before this one."""
        try:
            path = self.launch.private_path or f"{self.launch.api_path}/models"
            status, _ = local_http.ask(self._port, path, self.endpoint.api_key, 5.0)
        except (OSError, HTTPException):
            return False
        return status not in (401, 403)

    def _wait_for_death(self) -> None:
        deadline = time.monotonic() + _FAILED_EXIT_S
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _start_failure(self, reported: str = "") -> Failure:
        ending = f" ({self._ending()})" if not self.alive() else ""  # before the log is read, as above
        cause = self._translate(self._log.tail())
        if ending and cause is not None and cause.kind == "over_budget":
            return cause
        what = ((cause.message if cause else "") or reported or "the engine ended before it served") + ending
        return Failure(cause.kind if cause else "start_failed", self._with_log(what))

    def _translate(self, log: str) -> Failure | None:
        """Recognise a known failure, of the environment or else of the engine."""
        return first(self.launch.known_failures, log) or self._backend.translate(log)

    def _ending(self) -> str:
        code = self._process.exit_code()
        if code is None:
            return "its exit code is unknown, the watchdog above it was killed, too"
        if code - _SIGNALLED in signal.valid_signals():
            code = _SIGNALLED - code
        if code == -signal.SIGKILL:
            return "killed by SIGKILL, as the kernel does when memory runs out (see dmesg)"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _with_log(self, what: str) -> str:
        lines = "\n".join(f"    {line}" for line in self._log.last_lines(_SHOWN_LINES)) or "    (it is empty)"
        command = self.launch.shown or shlex.join(self.launch.argv)
        return f"{what}\n  command: {command}\n  end of {self._log.path}:\n{lines}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
