"""The time of what is paid by the hour, summed up in this process by the account that `backends.api.Undo` names."""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from backends.api import Undo
from backends.process import undoing

logger = logging.getLogger(__name__)
_lock = threading.Lock()
_times: dict[str, dict[str, tuple[float, float | None]]] = {}  # account -> name -> when it began and ended


def began(undo: Undo) -> None:
    """Count the time of what is started from now on, where it has an account."""
    with _lock:
        if undo.account:
            _times.setdefault(undo.account, {})[undo.name] = (clock(), None)


def ended(undo: Undo) -> None:
    """Count its time no further. Safe to call twice."""
    with _lock:
        if undo.account:
            start, end = _times[undo.account][undo.name]
            _times[undo.account][undo.name] = (start, clock() if end is None else end)


@contextlib.contextmanager
def until_undone(undo: Undo | None, log_path: Path) -> Iterator[None]:
    """Around what ends and undoes an engine: say so, then how long it took, or, loudly, that something may be left."""
    if undo is None or not undo.account or _is_over(undo):
        yield
        return
    logger.info("%s: %s", undo.doing, shlex.join(undo.argv))
    yield
    ended(undo)
    logger.info("%s", summary(undo))
    if undo.record is not None and Path(undo.record).exists():  # its command failed
        logger.error("%s; the end of %s says why", undoing.warning(undo.warning, undo.argv), log_path)


def hours(account: str, name: str | None = None) -> float:
    """Return the hours of all that was counted under `account` by this process, or of one of them."""
    now = clock()
    with _lock:
        times = dict(_times.get(account, {}))
    chosen = times.values() if name is None else [times[name]]
    return sum((now if end is None else end) - start for start, end in chosen) / 3600


def facts(undo: Undo) -> dict[str, str]:
    """Return what its account has taken so far: hours and, where the price is known, USD."""
    total = hours(undo.account)
    told = {"remote.machine": undo.name, "remote.hours_so_far": f"{total:.4f}"}
    if undo.price_per_hour is not None:
        told["remote.usd_so_far"] = f"{total * undo.price_per_hour:.2f}"
    return told


def summary(undo: Undo) -> str:
    """Return how long it ran, and what that cost by its price, for people."""
    took = hours(undo.account, undo.name)
    cost = f", {took * undo.price_per_hour:.2f} USD" if undo.price_per_hour is not None else ""
    return f"{undo.what} ran for {took:.2f} h{cost}"


def clock() -> float:
    """Return seconds that also pass while this machine sleeps: the rented one doesn't."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def _is_over(undo: Undo) -> bool:
    with _lock:
        return _times[undo.account][undo.name][1] is not None
