"""What a running engine used between two moments: its own account, and what the watchdog measured."""

from __future__ import annotations

import dataclasses
import time
from http.client import HTTPException

from backends.api import Backend, EngineStats, Launch, Mark
from backends.process import local_http, paid_time
from backends.process.gauge import GaugePeak
from backends.process.log import Log
from backends.process.supervised import SupervisedProcess

_TIMEOUT_S = 30.0
_KEPT_WORTH_SAYING = 1.05  # times what was held before the first job; less is noise
_GIB = 2**30


class Account:
    """The accounts of one engine. It answers also when the engine has died: with what is known without it."""

    def __init__(
        self, backend: Backend, launch: Launch, port: int, key: str, log: Log, process: SupervisedProcess
    ) -> None:
        """Ask nothing yet."""
        self._backend, self._launch, self._port, self._key = backend, launch, port, key
        self._log, self._process = log, process
        self._first_at_mark: int | None = None
        self._peak: GaugePeak | None = None

    def mark(self) -> Mark:
        """Reset the peaks that can be reset and remember where the others stand."""
        if self._launch.reset_path is not None:
            self._statistics(self._launch.reset_path, "POST")
        mark = Mark(time.time(), {"window": self._process.mark(), "before": self._statistics()})
        if self._launch.peak_gauge is not None:
            self.close()
            self._peak = GaugePeak(self._statistics, self._launch.peak_gauge)
        return mark

    def since(self, mark: Mark) -> EngineStats:
        """Return what was used since `mark`."""
        peak = self.close()
        after = self._statistics()
        if peak is not None and after:
            after += f"\nrunner_peak {peak}\n"
        stats = EngineStats()
        if mark.state["before"] and after:
            stats = self._backend.statistics(mark.state["before"], after, self._log.head())
        elif self._launch.statistics_path is not None:
            stats = EngineStats(notes=("the engine's own account is missing: it did not answer",))
        if (undo := self._launch.undo) is not None and undo.account:
            stats = dataclasses.replace(stats, facts={**stats.facts, **paid_time.facts(undo)})
        if self._launch.unmeasured:
            return dataclasses.replace(stats, notes=(*stats.notes, self._launch.unmeasured))
        window = mark.state["window"]
        peaks = self._process.since(window) if window is not None else {}
        kept = self._kept_from_before(peaks.get("cpu_at_mark_bytes"))
        return dataclasses.replace(
            stats,
            cpu_peak_gib=_gib(peaks.get("cpu_peak_bytes")),
            gpu_peak_gib=_gib(peaks.get("gpu_peak_bytes")),
            energy_joules=peaks.get("energy_joules"),
            notes=(*stats.notes, *peaks.get("notes", ()), *kept),
        )

    def close(self) -> float | None:
        """Stop following the gauge and return its peak since the mark. Safe to call twice."""
        peak, self._peak = self._peak, None
        return peak.stop() if peak is not None else None

    def _kept_from_before(self, at_mark: int | None) -> tuple[str, ...]:
        """Label a CPU peak that starts from what earlier jobs left: allocators and caches can't be emptied wholly."""
        if at_mark is None:
            return ()
        self._first_at_mark = self._first_at_mark or at_mark
        if at_mark <= self._first_at_mark * _KEPT_WORTH_SAYING:
            return ()
        kept = (at_mark - self._first_at_mark) / _GIB
        return (f"the engine was warm: its CPU peak includes {kept:.2f} GiB kept since its first job",)

    def _statistics(self, path: str | None = None, method: str = "GET") -> str:
        """Return the body of a statistics path, empty where there is none or nobody answers."""
        if (path := path or self._launch.statistics_path) is None:
            return ""
        try:
            status, body = local_http.ask(self._port, path, self._key, _TIMEOUT_S, method)
        except (OSError, HTTPException):
            return ""
        return body.decode("utf-8", "replace") if status == 200 else ""


def _gib(count: int | None) -> float | None:
    return None if count is None else count / _GIB
