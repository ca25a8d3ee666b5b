"""Runs the command that undoes what an engine's start began (`backends.api.Undo`), and knows of what may be left.

A record, `NAME.json`, is written before the start and removed when the command has succeeded. One that is left over,
with nobody alive who looks after it, tells of something that may still run and cost money.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from backends.api import Undo

_FIND_S = 5.0
_SHOWN = 2000  # characters of what a command said
_SAME_S = 1.0  # what two readings of one process's start may differ by


def as_order(undo: Undo) -> dict[str, Any]:
    """Return what a watchdog must know, as JSON: the command sees the environment of this process."""
    return {**dataclasses.asdict(undo), "variables": dict(os.environ)}


def of_order(order: Mapping[str, Any]) -> tuple[Undo, dict[str, str]]:
    """Return what `as_order` told of, and the environment of its commands."""
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in order.items()}
    variables = given.pop("variables")
    return Undo(**given), dict(variables)


def longest_s(undo: Undo) -> float:
    """Return how long undoing may take, in seconds."""
    return sum(undo.waits_s) + len(undo.waits_s) * undo.timeout_s


def keep_record(undo: Undo) -> None:
    """Write down what is about to be started, and that this process looks after it. Raise OSError."""
    if undo.record is None:
        return
    path = Path(undo.record)
    path.parent.mkdir(parents=True, exist_ok=True)
    me = psutil.Process()
    known = {"name": undo.name, "stop": undo.argv, "warning": undo.warning, "host": platform.node()}
    keeper = {"started_at": time.time(), "keeper": me.pid, "keeper_began": me.create_time()}
    path.write_text(json.dumps(known | keeper), encoding="utf-8")


def forget(undo: Undo) -> None:
    """Remove the record of what was undone or never started. Raise OSError."""
    if undo.record is not None:
        Path(undo.record).unlink(missing_ok=True)


def run(
    undo: Undo,
    variables: Mapping[str, str],
    say: Callable[[str], None],
    *,
    is_over: bool,
    seen: psutil.Process | None = None,
) -> bool:
    """Run the command until it succeeds, a few times; then remove the record. Return whether nothing is left.

    `is_over`: the engine's own command ended by itself, so that nothing can come into being any more. Where undoing
    fails, the first process is killed if it was `seen`: all others of a container end with it. The record's absence
    stops nothing: somebody may have removed it while the engine ran.
    """
    tell = say if undo.doing else _quiet
    tell(f"undo: {undo.doing}: {shlex.join(undo.argv)}\n")
    failed = ""
    for attempt, wait_s in enumerate(undo.waits_s, 1):
        time.sleep(wait_s)
        code, output, errors = _run(undo, variables)
        tell(output + errors)
        if code == 0:
            failed = ""
            if output.strip() or is_over or not undo.prints:
                break
        else:
            failed = errors.strip() or str(code)
            tell(f"undo: it failed (attempt {attempt} of {len(undo.waits_s)}): {code}\n")
    if failed and not (undo.absent and undo.absent in failed) and not _killed(seen):
        reason = "" if undo.doing else f" (it failed: {failed})"
        say(f"undo: {warning(undo.warning, undo.argv)}{reason}\n")
        return False
    try:
        forget(undo)
    except OSError as error:  # it is undone, whatever becomes of its record
        say(f"undo: remove {undo.record}, which could not be removed: {error}\n")
    tell(f"undo: {undo.what} is gone\n")
    return True


def warning(what: str, argv: Sequence[str]) -> str:
    """Return what must be said of something that was not undone."""
    return f"{what}: run {shlex.join(argv)}"


def find(undo: Undo, variables: Mapping[str, str]) -> psutil.Process | None:
    """Return the first of the engine's processes, None where it can't be seen from here.

    Where a container's daemon counts processes otherwise than we do (it or we are in a container), its number may be
    that of any process here: the word in the process's control group tells.
    """
    try:
        done = subprocess.run(
            undo.find, env=dict(variables), capture_output=True, text=True, timeout=_FIND_S, check=True
        )
        pid, word = done.stdout.split()
        if word not in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"):
            return None
        return psutil.Process(int(pid))
    except (OSError, ValueError, subprocess.SubprocessError, psutil.Error):
        return None


def _quiet(_: str) -> None:
    pass


def _killed(seen: psutil.Process | None) -> bool:
    """Kill the first of the engine's processes; return whether it is gone."""
    if seen is None:
        return False
    try:
        seen.kill()
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
    return True


def _run(undo: Undo, variables: Mapping[str, str]) -> tuple[int | str, str, str]:
    """Run the command in a session of its own; return its exit code, or why there is none, and what it said."""
    try:
        process = subprocess.Popen(
            undo.argv,
            env=dict(variables),
            cwd=undo.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return f"{undo.argv[0]}: {error.strerror or error}", "", ""
    try:
        output, errors = process.communicate(timeout=undo.timeout_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        key = f" ({undo.timeout_key})" if undo.timeout_key else ""
        return f"it took more than {undo.timeout_s:g} s{key}", "", ""
    said, complained = (text.decode("utf-8", "replace")[-_SHOWN:] for text in (output, errors))
    return process.returncode, said, complained


# ------------------------------------------------------------------------------------------------- what is left


@dataclass(frozen=True, slots=True)
class Left:
    """Something that may still run: nobody is known to look after it."""

    name: str
    stop: tuple[str, ...]
    record: Path
    host: str
    started_at: float
    what: str

    @property
    def warning(self) -> str:
        """What must be said of it, and how to have it forgotten."""
        return f"{warning(self.what, self.stop)}; then remove {self.record}"


def left(folder: Path) -> list[Left]:
    """Return what the records in `folder` tell of whose keepers have died, or are on another host."""
    leftovers = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):  # it was removed meanwhile
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["host"] != platform.node() or not _lives(known["keeper"], known["keeper_began"]):
                what = known.get("warning") or f"THE MACHINE {known['name']} MAY STILL RUN"  # an older version's record
                stop, host, began = tuple(known["stop"]), known["host"], known["started_at"]
                leftovers.append(Left(known["name"], stop, path, host, began, what))
    return leftovers


def _lives(pid: int, began: float) -> bool:
    """Whether this very process lives: its number may be somebody else's by now."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - began) < _SAME_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
