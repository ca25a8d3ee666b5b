"""The process that holds a rented machine: `python -m backends.process.remote_machine`, under a watchdog.

It starts the machine, waits for it, opens the tunnel and runs the engine there, as its settings say, which come as JSON
in $RUNNER_REMOTE. It ends when the engine does, when the tunnel breaks, when time or money are used up
(`LIMIT_REACHED`), or when it is asked to. It never gives the machine back: the watchdog above it does, however this
process ended. What the engine must not show, its key above all, goes through the standard input of the `run` command.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

from backends.process.paid_time import clock

VARIABLE = "RUNNER_REMOTE"
LIMIT_REACHED = 77  # exit code
TIME_IS_OVER = "the machine's time is over"
PORT = "RUNNER_ENGINE_PORT"
READY = "the machine is ready"
PLACEHOLDERS = ("name", "address", "port", "command")
# What is run on the machine. It reads NAME=value lines up to an empty one, runs its arguments, and ends them when its
# input ends: sshd ends no process of a connection that has broken.
SCRIPT = """\
while IFS= read -r line && [ -n "$line" ]; do export "$line"; done
exec 3<&0
"$@" </dev/null 3<&- &
engine=$!
(
  read -r line <&3
  kill -TERM $engine
  for second in 1 2 3 4 5 6 7 8 9 10; do sleep 1; kill -0 $engine || exit; done
  kill -KILL $engine
) >/dev/null 2>&1 &
watch=$!
wait $engine
code=$?
kill $watch 2>/dev/null
exit $code
"""
_POLL_S = 0.2
_WAIT_EVERY_S = 2.0
_GRACE_S = 3.0
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class _Over(Exception):
    """The machine is not needed, or not to be had, any longer; with the exit code."""

    def __init__(self, code: int, what: str = "") -> None:
        super().__init__(what)
        self.code = code


def filled(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Put values into {placeholders}; those without a value stay."""
    return [_PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), word) for word in words]


def unknown_placeholders(words: Sequence[str]) -> list[str]:
    """Return what stands in braces and is none of ours."""
    return [name for word in words for name in _PLACEHOLDER.findall(word) if name not in PLACEHOLDERS]


def on_the_machine(argv: Sequence[str]) -> str:
    """Return the engine's command as one word for a shell there: what {command} stands for."""
    return shlex.join(["sh", "-c", SCRIPT, "engine", *argv])


class _Machine:
    """One machine, from its start command to the end of its engine."""

    def __init__(self, settings: Mapping[str, Any], secrets: Mapping[str, str], variables: dict[str, str]) -> None:
        self._settings, self._secrets, self._variables = settings, secrets, variables
        self._values = dict(settings["values"])
        self._limit = clock() + settings["limit_s"]
        self._children: list[subprocess.Popen[bytes]] = []

    def serve(self) -> NoReturn:
        """Go through the machine's life. Raise _Over at its end."""
        deadline = clock() + self._settings["start_timeout_s"]
        say(f"starting the machine {self._values['name']}")
        last = self._succeed("start", deadline)
        if self._settings["address"]:
            last = self._until_it_succeeds("address", deadline)
        self._values["address"] = last or self._values["name"]
        if self._settings["wait"]:
            self._until_it_succeeds("wait", deadline)
        say(READY)
        tunnel = self._begin("tunnel", stdin=subprocess.DEVNULL) if self._settings["tunnel"] else None
        engine = self._begin("run", stdin=subprocess.PIPE)
        assert engine.stdin is not None
        told = "".join(f"{name}={value}\n" for name, value in self._secrets.items())
        with contextlib.suppress(BrokenPipeError):  # it has ended at once: its exit code follows
            engine.stdin.write(f"{told}\n".encode())
            engine.stdin.flush()
        while True:
            if (code := engine.poll()) is not None:
                raise _Over(code if code >= 0 else 128 - code, f"the run command ended: {code}")
            if tunnel is not None and (code := tunnel.poll()) is not None:
                raise _Over(1, f"the tunnel command ended: {code}")
            self._mind_the_limit()
            time.sleep(_POLL_S)

    def end(self) -> None:
        """End what runs here; what runs on the machine ends with its input."""
        for child in self._children:
            if child.stdin is not None:
                with contextlib.suppress(OSError):
                    child.stdin.close()
        deadline = time.monotonic() + _GRACE_S
        for child in reversed(self._children):  # the tunnel last
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
            child.terminate()

    def _words(self, step: str) -> list[str]:
        return filled(self._settings[step], self._values)

    def _begin(self, step: str, stdin: int) -> subprocess.Popen[bytes]:
        words = self._words(step)
        try:
            child = subprocess.Popen(words, env=self._variables, cwd=self._settings["cwd"], stdin=stdin)
        except OSError as error:
            raise _Over(1, f"env.remote.{step}: {words[0]}: {error.strerror or error}") from error
        self._children.append(child)
        return child

    def _succeed(self, step: str, deadline: float) -> str:
        """Run a command once and return the last line it printed. Raise _Over where it fails."""
        code, last = self._run(step, deadline)
        if code != 0:
            raise _Over(1, f"env.remote.{step} failed with exit code {code}: {shlex.join(self._words(step))}")
        return last

    def _until_it_succeeds(self, step: str, deadline: float) -> str:
        while True:
            code, last = self._run(step, deadline)
            if code == 0:
                return last
            say(f"env.remote.{step}: not yet (exit code {code})")
            self._check(step, deadline)
            time.sleep(min(_WAIT_EVERY_S, max(0.0, deadline - clock())))

    def _run(self, step: str, deadline: float) -> tuple[int, str]:
        """Run a command, passing on what it says. Return its exit code and its last line that says something."""
        words = self._words(step)
        try:
            child = subprocess.Popen(
                words,
                env=self._variables,
                cwd=self._settings["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                process_group=0,
            )
        except OSError as error:
            raise _Over(1, f"env.remote.{step}: {words[0]}: {error.strerror or error}") from error
        last: list[str] = []
        reader = threading.Thread(target=_pass_on, args=(child, last), daemon=True)
        reader.start()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = child.wait(_POLL_S)
                break
            try:
                self._check(step, deadline)
            except _Over:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                raise
        reader.join(1.0)  # not for ever: what it left in the background may hold the pipe
        return code, last[0] if last else ""

    def _check(self, step: str, deadline: float) -> None:
        if clock() >= deadline:
            waited = f"{self._settings['start_timeout_s']:g} s (env.remote.start_timeout_s)"
            raise _Over(1, f"the machine was not ready within {waited}; it was at env.remote.{step}")
        self._mind_the_limit()

    def _mind_the_limit(self) -> None:
        if clock() >= self._limit:
            raise _Over(LIMIT_REACHED, self._settings["limit"])


def _pass_on(child: subprocess.Popen[bytes], last: list[str]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        if words := line.decode("utf-8", "replace").strip():
            last[:] = [words]


def say(what: str) -> None:
    """Write a line into the engine's log."""
    sys.stdout.write(f"remote: {what}\n")
    sys.stdout.flush()


def _asked_to_end(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Over(0)


def main() -> NoReturn:
    """Hold the machine until its engine ends."""
    signal.signal(signal.SIGTERM, _asked_to_end)
    settings = json.loads(os.environ.pop(VARIABLE))
    secrets = {name: os.environ[name] for name in settings["pass_variables"] if name in os.environ}
    secrets[settings["key_variable"]] = os.environ.pop(settings["key_variable"])
    # The commands see the environment as it was before we laid ours over it.
    variables = {name: value for name, value in os.environ.items() if name not in settings["before"]}
    variables |= {name: value for name, value in settings["before"].items() if value is not None}
    settings["values"]["port"] = os.environ.pop(PORT)
    machine = _Machine(settings, {**settings["variables"], **secrets}, variables)
    try:
        machine.serve()
    except _Over as over:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if str(over):
            say(str(over))
        machine.end()
        raise SystemExit(over.code) from None


if __name__ == "__main__":
    main()
