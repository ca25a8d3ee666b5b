"""An engine that runs already, somewhere: nothing is started, measured or ended."""

from __future__ import annotations

import time
from pathlib import Path

from backends.api import Endpoint, EngineSpec, EngineStats, Failure, Mark


class RunningEngine:
    """Somebody else's server. It counts as alive: a lost connection fails the question and not the job."""

    log_path: Path | None = None
    load_s: float | None = None

    def __init__(self, spec: EngineSpec, endpoint: Endpoint) -> None:
        """Touch nothing: the first question shows whether it answers."""
        self.spec = spec
        self.endpoint = endpoint

    def alive(self) -> bool:
        """Return True: whether it runs is its owner's concern."""
        return True

    def crash_report(self) -> Failure:
        """Say that nothing is known of its end."""
        return Failure("engine_died", f"{self.endpoint.url} does not answer any more; its log is its owner's")

    def mark(self) -> Mark:
        """Remember the time."""
        return Mark(time.time())

    def since(self, mark: Mark) -> EngineStats:
        """Return nothing measured."""
        del mark
        return EngineStats(notes=("memory and energy of an endpoint can't be measured from here",))

    def close(self) -> None:
        """Leave it alone."""
