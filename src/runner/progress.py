"""Shows what long work is doing: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

log = logging.getLogger(__name__)
LINE_EVERY_S = 15.0
# What took less is not summed up in a line of its own.
WORTH_A_LINE_S = 2.0


class Lines(logging.StreamHandler[TextIO]):
    """Writes log lines to what sys.stderr is at that moment: while a bar is shown, lines go above it."""

    def __init__(self) -> None:
        """Start without a stream; it is looked up for each line."""
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The standard error of now."""
        return sys.stderr


class Progress:
    """Counts work under a title. Use as a context manager; `advance` is cheap enough for every answer.

    Without a terminal, each new phase is a line at once (`starting`, `warming up`, `asking`); what changes within one
    (`starting, loading weights 40%`), and counts with their rate and the time left, are lines every 15 seconds.
    """

    def __init__(self, title: str, total: int | None, *, quiet: bool = False) -> None:
        """Start counting towards `total`; None where it is not known. `quiet`: phases are no lines of their own."""
        self.quiet = quiet
        self.title, self.total, self.done, self.failed = title, total, 0, 0
        self._counting = threading.Lock()  # questions are taken in threads
        self._begin = self._spoken = time.monotonic()
        self._counted_from: float | None = None  # the rate is of the counting, not of the start before it
        self._phase = ""
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[told]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Progress:
        """Show it."""
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.total, told="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the bar, and say in a line what was done and how long it took."""
        if self._bar is not None:
            self._bar.stop()
        took = time.monotonic() - self._begin
        if self.done and took >= WORTH_A_LINE_S:
            log.info("%s: %d of %s in %.0f s%s", self.title, self.done, self.total or "?", took, self._told())

    def say(self, text: str) -> None:
        """Say what is being done now: a phase, and after a comma what it is at."""
        phase = text.partition(",")[0]
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=f"{self.title}: {text}")
        elif (phase != self._phase and not self.quiet) or time.monotonic() - self._spoken >= LINE_EVERY_S:
            self._spoken = time.monotonic()
            log.info("%s: %s", self.title, text)
        self._phase = phase

    def advance(self, failed: bool = False) -> None:
        """Count one more."""
        now = time.monotonic()
        with self._counting:
            self.done += 1
            self.failed += failed
            if self._counted_from is None:
                self._counted_from = now
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, told=self._told().removeprefix(", "))
        elif now - self._spoken >= LINE_EVERY_S:
            self._spoken = now
            rate = self._rate()
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate else ""
            log.info("%s: %d of %s%s%s", self.title, self.done, self.total or "?", self._told(), left)

    def _rate(self) -> float | None:
        """Return how many were counted per second since the first; None where that says nothing yet."""
        since = 0.0 if self._counted_from is None else time.monotonic() - self._counted_from
        return (self.done - 1) / since if self.done > 1 and since > 0 else None

    def _told(self) -> str:
        rate = self._rate()
        speed = f", {rate:.1f}/s" if rate else ""
        return speed + (f", {self.failed} failed" if self.failed else "")
