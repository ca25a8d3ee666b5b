"""Peaks of a process tree: CPU memory, GPU memory, energy. Runs in the watchdog, away from the client's clock.

The CPU peak is the largest summed PSS (each shared page counted once, split between those who share it). One PSS
reading costs up to 39 ms on a large process, RSS some 10 us: RSS is polled often, and PSS is read when RSS reaches a
new maximum, and every two seconds or, where that costs more than `_PSS_SHARE` of a core, as seldom as that takes.
Allowances keep the whole under about 2% of a core.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import psutil

from backends.process.gpu import Gpus

POLL_S = 0.05
_PSS_EVERY_S = 2.0
_PSS_SHARE = 0.004  # of a core, for the readings that no new maximum asks for
_PSS_LATEST_S = 15.0
_TREE_EVERY_S = 0.5
_GPU_EVERY_S = 0.1
_NEW_MAXIMUM = 1.01  # times the RSS of the last reading: a creeping rise is not read at each step
_KEPT_WINDOWS = 16

_RSS_NOTE = "CPU memory is summed RSS where PSS can't be read: shared pages are counted more than once"
_RISEN_NOTE = (
    "GPU memory is what all devices hold more than before the start: NVML lists no process of this engine "
    "(a container without the host's PID namespace, or WSL), so other programs' use is included"
)

_UNSEEN_NOTE = (
    "the memory of the engine's container was not measured: its processes can't be seen from here (the runner or the "
    "daemon is in a container of its own)"
)


class Allowance:
    """A share of one core that may be spent; what is not spent adds up to `burst_s` seconds."""

    def __init__(self, share: float, burst_s: float) -> None:
        self._share, self._burst_s = share, burst_s
        self._balance_s = burst_s
        self._updated = time.monotonic()
        self._began = 0.0

    def __bool__(self) -> bool:
        """Whether something is left."""
        now = time.monotonic()
        self._balance_s = min(self._burst_s, self._balance_s + (now - self._updated) * self._share)
        self._updated = now
        return self._balance_s > 0

    def __enter__(self) -> None:
        self._began = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._balance_s -= time.thread_time() - self._began


@dataclass(slots=True)
class _Window:
    """The peaks since one mark, in bytes."""

    energy_before: dict[int, float]
    cpu: int = 0
    cpu_at_mark: int = 0
    gpu_owned: int | None = None
    gpu_risen: int | None = None
    devices: set[int] = field(default_factory=set)
    gpu_problem: str = ""


class Sampler:
    """Follows the descendants of `root` (not itself); call `poll` every `POLL_S` seconds.

    Without a root, as long as the engine's processes are not found, nothing is measured.
    """

    def __init__(self, root: psutil.Process | None, gpus: Gpus | None) -> None:
        self._root, self._gpus = root, gpus
        self._tree: list[psutil.Process] = []
        self._windows: dict[int, _Window] = {}
        self._marks = 0
        self._rss_maximum = 0.0  # since the last mark
        self._pss_unreadable = False
        self._next_tree = self._next_pss = self._next_gpu = 0.0
        self._tree_allowance = Allowance(0.003, 0.1)
        self._pss_allowance = Allowance(0.007, 0.3)
        self._gpu_allowance = Allowance(0.003, 0.1)

    @property
    def root(self) -> psutil.Process | None:
        """Whose descendants are measured, None as long as they are not found."""
        return self._root

    def follow(self, root: psutil.Process | None) -> None:
        """Measure the descendants of `root` from now on."""
        self._root = root

    def poll(self) -> None:
        """Look once."""
        now = time.monotonic()
        if now >= self._next_tree and self._tree_allowance:
            self._read_tree(now)
        rss = self._rss()
        is_new_maximum = rss > self._rss_maximum * _NEW_MAXIMUM
        if (is_new_maximum or now >= self._next_pss) and self._pss_allowance:
            self._rss_maximum = max(rss, self._rss_maximum)
            self._read_pss(now)
        if self._gpus and now >= self._next_gpu and self._gpu_allowance:
            self._read_gpu(now)

    def mark(self) -> int:
        """Begin a new window at what is held now; return its number."""
        self._marks += 1
        self._windows[self._marks] = _Window(self._gpus.energy() if self._gpus else {})
        if len(self._windows) > _KEPT_WINDOWS:
            del self._windows[min(self._windows)]
        self._read_all()
        self._windows[self._marks].cpu_at_mark = self._windows[self._marks].cpu
        self._rss_maximum = self._rss()
        return self._marks

    def since(self, number: int, *, is_alive: bool = True) -> dict[str, Any]:
        """Return the peaks since a mark as JSON: bytes, joules, notes. What is unknown is None."""
        if number not in self._windows:
            return {"notes": [f"the memory sampler has forgotten mark {number}"]}
        if is_alive:
            self._read_all()
        window = self._windows[number]
        notes = [_RSS_NOTE] if self._pss_unreadable else []
        if self._root is None:
            notes.append(_UNSEEN_NOTE)
        gpu = window.gpu_owned
        if gpu is None and window.gpu_risen is not None:
            gpu = window.gpu_risen
            notes.append(_RISEN_NOTE)
        if gpu is None and window.gpu_problem:
            notes.append(f"the engine's GPU memory and energy are unknown: {window.gpu_problem}")
        return {
            "cpu_peak_bytes": window.cpu or None,
            "cpu_at_mark_bytes": window.cpu_at_mark or None,
            "gpu_peak_bytes": gpu,
            "energy_joules": self._energy(window, notes),
            "notes": notes,
            "watchdog_cpu_s": time.process_time(),
        }

    def all_windows(self) -> dict[str, Any]:
        """Return what is known of every window of an engine that has ended."""
        return {str(number): self.since(number, is_alive=False) for number in self._windows}

    def _read_all(self) -> None:
        now = time.monotonic()
        self._read_tree(now)
        self._read_pss(now)
        if self._gpus:
            self._read_gpu(now)

    def _read_tree(self, now: float) -> None:
        with self._tree_allowance:
            self._tree = self._descendants()
        self._next_tree = now + _TREE_EVERY_S

    def _descendants(self) -> list[psutil.Process]:
        if self._root is None:
            return []
        try:
            return self._root.children(recursive=True)
        except psutil.Error:  # a container that has ended
            return []

    def _rss(self) -> float:
        total = 0
        for process in self._tree:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                self._next_tree = 0.0  # it has ended: look for who is left
        return total

    def _read_pss(self, now: float) -> None:
        began = time.thread_time()
        with self._pss_allowance:
            total = sum(self._pss(process) for process in self._tree)
        cost_s = time.thread_time() - began
        for window in self._windows.values():
            window.cpu = max(window.cpu, total)
        self._next_pss = now + min(max(_PSS_EVERY_S, cost_s / _PSS_SHARE), _PSS_LATEST_S)

    def _pss(self, process: psutil.Process) -> int:
        try:
            return int(process.memory_full_info().pss)
        except (psutil.AccessDenied, AttributeError):
            self._pss_unreadable = True  # another user's process, or no Linux
        except psutil.Error:
            return 0
        try:
            return process.memory_info().rss
        except psutil.Error:
            return 0

    def _read_gpu(self, now: float) -> None:
        assert self._gpus is not None
        with self._gpu_allowance:
            reading = self._gpus.read({process.pid for process in self._tree})
        self._next_gpu = now + _GPU_EVERY_S
        if reading is None:
            return
        for window in self._windows.values():
            if reading.owned is not None:
                window.gpu_owned = max(window.gpu_owned or 0, reading.owned)
            if reading.risen is not None:
                window.gpu_risen = max(window.gpu_risen or 0, reading.risen)
            window.devices |= reading.devices
            window.gpu_problem = reading.problem or window.gpu_problem

    def _energy(self, window: _Window, notes: list[str]) -> float | None:
        if not self._gpus or not window.devices:
            return None
        now = self._gpus.energy()
        known = sorted(index for index in window.devices if index in now and index in window.energy_before)
        if not known:
            notes.extend(filter(None, (self._gpus.without_energy(window.devices),)))
            return None
        notes.append(f"energy is that of the whole GPU {', '.join(map(str, known))}, of every program on it")
        return sum(now[index] - window.energy_before[index] for index in known)
