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
        # The rate is of the asking: since the first request where `begin` says so, else since the first was counted.
        self._counted_from: float | None = None
        self._asked = 0  # counted since then
        self._waited = 0.0  # before the first request, and while an engine was started again
        self._waits_from: float | None = self._begin
        self._begun = False
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

    def begin(self) -> None:
        """Say that the first request is sent now, or the first to an engine that was started again."""
        now = time.monotonic()
        if self._waits_from is not None:
            self._waited += now - self._waits_from
        if not self._begun:
            self._begun, self._counted_from, self._asked = True, now, 0
        elif self._counted_from is not None and self._waits_from is not None:
            self._counted_from += now - self._waits_from
        self._waits_from = None

    def rest(self) -> None:
        """Say that nothing is asked until `begin`: an engine is started again."""
        self._waits_from = time.monotonic()

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
            start = f", after {self._waited:.0f} s of starting" if self._begun else ""
            asking = took - self._waited if self._begun else took
            counted = f"{self.done} of {self.total or '?'} in {asking:.0f} s"
            log.info("%s: %s%s%s", self.title, counted, self._told(), start)

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
            self._asked += 1
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
        """Return how many were counted per second of asking; None where that says nothing yet."""
        since = 0.0 if self._counted_from is None else time.monotonic() - self._counted_from
        counted = self._asked if self._begun else self._asked - 1
        return counted / since if counted > 0 and since > 0 else None

    def _told(self) -> str:
        rate = self._rate()
        speed = f", {rate:.1f}/s" if rate else ""
        return speed + (f", {self.failed} failed" if self.failed else "")
