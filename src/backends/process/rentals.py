"""Rented machines: given back whatever happens, told of where that failed, their time summed up.

A record, `NAME.json`, is written before a machine's start command and removed when its stop command has succeeded. One
that is left over, with nobody alive who looks after it, is a machine that may still run and cost money.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from backends.api import Rental

logger = logging.getLogger(__name__)

ATTEMPTS = 3
PAUSE_S = 2.0
_SHOWN = 2000  # characters of what a failed command said
_SAME_S = 1.0  # what two readings of one process's start may differ by


def order(rental: Rental) -> dict[str, Any]:
    """Return what a watchdog must know to give the machine back, as JSON; its commands see our environment."""
    return {
        "name": rental.name,
        "stop": list(rental.stop),
        "record": rental.record,
        "cwd": rental.cwd,
        "timeout_s": rental.stop_timeout_s,
        "variables": dict(os.environ),
    }


def longest_stop_s(rental: Rental) -> float:
    """Return how long giving it back may take, in seconds."""
    return ATTEMPTS * (rental.stop_timeout_s + PAUSE_S)


def keep_record(order: Mapping[str, Any]) -> None:
    """Write down that a machine is about to be started, and that this process looks after it. Raise OSError."""
    path = Path(order["record"])
    path.parent.mkdir(parents=True, exist_ok=True)
    me = psutil.Process()
    known = {"name": order["name"], "stop": order["stop"], "host": platform.node(), "started_at": time.time()}
    path.write_text(json.dumps(known | {"keeper": me.pid, "keeper_began": me.create_time()}), encoding="utf-8")


def forget(order: Mapping[str, Any]) -> None:
    """Remove a record, of a machine that was given back or never started."""
    Path(order["record"]).unlink(missing_ok=True)


def give_back(order: Mapping[str, Any], say: Callable[[str], None]) -> bool:
    """Run the stop command until it succeeds, a few times; then remove the record. Return whether it did, and say it.

    Without asking for the record: somebody may have removed it, with the store, while the machine ran.
    """
    stop: list[str] = order["stop"]
    say(f"remote: giving back the machine {order['name']}: {shlex.join(stop)}\n")
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S)
        code, output = _run(stop, order["variables"], order["cwd"], order["timeout_s"])
        say(output)
        if code == 0:
            try:
                forget(order)
            except OSError as error:  # the machine is given back, whatever becomes of its record
                say(f"remote: remove {order['record']}, which could not be removed: {error}\n")
            say(f"remote: the machine {order['name']} was given back\n")
            return True
        say(f"remote: the stop command failed (attempt {attempt + 1} of {ATTEMPTS}): {code}\n")
    say(f"remote: {warning(order['name'], stop)}\n")
    return False


def warning(name: str, stop: Sequence[str]) -> str:
    """Return what must be said of a machine that was not given back."""
    return f"THE MACHINE {name} MAY STILL RUN AND COST MONEY: run {shlex.join(stop)}"


def _run(argv: list[str], variables: dict[str, str], cwd: str, timeout_s: float) -> tuple[int | str, str]:
    """Run a command in a session of its own; return its exit code, or why there is none, and what it said."""
    try:
        process = subprocess.Popen(
            argv,
            env=variables,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"{argv[0]}: {error.strerror or error}", ""
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"it took more than {timeout_s:g} s (env.remote.stop_timeout_s)", ""
    return process.returncode, output.decode("utf-8", "replace")[-_SHOWN:]


@dataclass(frozen=True, slots=True)
class Left:
    """A machine that may still run: nobody is known to look after it."""

    name: str
    stop: tuple[str, ...]
    record: Path
    host: str
    started_at: float

    @property
    def warning(self) -> str:
        """What must be said of it, and how to have it forgotten."""
        return f"{warning(self.name, self.stop)}; then remove {self.record}"


def left(folder: Path) -> list[Left]:
    """Return the machines whose records are in `folder` and whose keepers have died, or are on another host."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError):  # it was removed meanwhile
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["host"] != platform.node() or not _lives(known["keeper"], known["keeper_began"]):
                found.append(Left(known["name"], tuple(known["stop"]), path, known["host"], known["started_at"]))
    return found


def _lives(pid: int, began: float) -> bool:
    """Whether this very process lives: its number may be somebody else's by now."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - began) < _SAME_S and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# ------------------------------------------------------------------------------------- time, within this process

_lock = threading.Lock()
_times: dict[str, dict[str, tuple[float, float | None]]] = {}  # environment -> machine -> when it began and ended


def began(rental: Rental) -> None:
    """Count a machine's time from now on."""
    with _lock:
        _times.setdefault(rental.environment, {})[rental.name] = (clock(), None)


def ended(rental: Rental) -> None:
    """Count its time no further. Safe to call twice."""
    with _lock:
        start, end = _times[rental.environment][rental.name]
        _times[rental.environment][rental.name] = (start, clock() if end is None else end)


@contextlib.contextmanager
def giving_back(rental: Rental | None, log_path: Path) -> Iterator[None]:
    """Around what gives a machine back: say so, then what the machine took, or, loudly, that it may still run."""
    with _lock:
        is_over = rental is None or _times[rental.environment][rental.name][1] is not None
    if rental is None or is_over:
        yield
        return
    logger.info("giving back the machine %s: %s", rental.name, shlex.join(rental.stop))
    yield
    ended(rental)
    logger.info("%s", summary(rental))
    if Path(rental.record).exists():  # its stop command failed
        logger.error("%s; the end of %s says why", warning(rental.name, rental.stop), log_path)


def hours(environment: str, machine: str | None = None) -> float:
    """Return for how many hours machines of this environment, or one of them, have run for this process."""
    now = clock()
    with _lock:
        times = dict(_times.get(environment, {}))
    chosen = times.values() if machine is None else [times[machine]]
    return sum((now if end is None else end) - start for start, end in chosen) / 3600


def facts(rental: Rental) -> dict[str, str]:
    """Return what the machines of an environment have taken so far: hours and, where the price is known, USD."""
    total = hours(rental.environment)
    told = {"remote.machine": rental.name, "remote.hours_so_far": f"{total:.4f}"}
    if rental.price_per_hour is not None:
        told["remote.usd_so_far"] = f"{total * rental.price_per_hour:.2f}"
    return told


def summary(rental: Rental) -> str:
    """Return how long a machine ran, and what that cost by its price, for people."""
    took = hours(rental.environment, rental.name)
    cost = f", {took * rental.price_per_hour:.2f} USD" if rental.price_per_hour is not None else ""
    return f"the machine {rental.name} ran for {took:.2f} h{cost}"


def clock() -> float:
    """Return seconds that also pass while this machine sleeps: the rented one doesn't."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
