"""Shows what long work is doing: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

log = logging.getLogger(__name__)
LINE_EVERY_S = 15.0


class Progress:
    """Counts work under a title. Use as a context manager; `advance` is cheap enough for every answer."""

    def __init__(self, title: str, total: int | None) -> None:
        """Start counting towards `total`; None where it is not known."""
        self.title, self.total, self.done, self.failed = title, total, 0, 0
        self._counting = threading.Lock()  # questions are taken in threads
        self._begin = self._spoken = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> Progress:
        """Show it."""
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Say what is being done now."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=f"{self.title}: {text}")
        elif time.monotonic() - self._spoken >= LINE_EVERY_S:
            self._spoken = time.monotonic()
            log.info("%s: %s", self.title, text)

    def advance(self, failed: bool = False) -> None:
        """Count one more."""
        with self._counting:
            self.done += 1
            self.failed += failed
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        now = time.monotonic()
        if self._bar is None and now - self._spoken >= LINE_EVERY_S:
            self._spoken = now
            rate = self.done / (now - self._begin)
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total else ""
            failures = f", {self.failed} failed" if self.failed else ""
            log.info("%s: %d of %s, %.1f/s%s%s", self.title, self.done, self.total or "?", rate, left, failures)
