"""Shows the progress of long work: as a bar on a terminal, elsewhere as a log line every 15 seconds."""

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
# Work that took less time than this ends without a closing line.
WORTH_A_LINE_S = 2.0


class Lines(logging.StreamHandler[TextIO]):
    """Writes log lines to the current sys.stderr, which rich replaces while a bar is shown: lines then go above it."""

    def __init__(self) -> None:
        """Start without a stream. The stream is looked up for each line."""
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """The current sys.stderr."""
        return sys.stderr


class Progress:
    """Counts work under a title. Use it as a context manager; `advance` is cheap enough to be called for every answer.

    Without a terminal, each new phase (`starting`, `warming up`, `asking`) is logged at once. Changes within a phase
    (`starting, loading weights 40%`), and the count with its rate and the time left, are logged every 15 seconds.
    """

    def __init__(self, title: str, total: int | None, *, quiet: bool = False) -> None:
        """Start counting towards `total` (None: not known). With `quiet`, a new phase is not logged at once."""
        self.quiet = quiet
        self.title, self.total, self.done, self.failed = title, total, 0, 0
        self._counting = threading.Lock()  # `advance` is called from several threads
        self._begin = self._last_line_at = time.monotonic()
        # The rate leaves out waiting: it counts from the first request (`begin`), else from the first `advance`.
        self._counted_from: float | None = None
        self._asked = 0  # answers counted since `_counted_from`
        self._waited = 0.0  # seconds before the first request, and while an engine was restarted
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
                TextColumn("{task.fields[rate]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def begin(self) -> None:
        """Tell the counter that requests are sent from now on: the first request, or the first after a restart."""
        now = time.monotonic()
        if self._waits_from is not None:
            self._waited += now - self._waits_from
        if not self._begun:
            self._begun, self._counted_from, self._asked = True, now, 0
        elif self._counted_from is not None and self._waits_from is not None:
            self._counted_from += now - self._waits_from
        self._waits_from = None

    def rest(self) -> None:
        """Tell the counter that no request is sent until `begin`, because an engine is being restarted."""
        self._waits_from = time.monotonic()

    def __enter__(self) -> Progress:
        """Show the bar."""
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=self.total, rate="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar, and log how much was done and how long it took."""
        if self._bar is not None:
            self._bar.stop()
        took = time.monotonic() - self._begin
        if self.done and took >= WORTH_A_LINE_S:
            start = f", after {self._waited:.0f} s of starting" if self._begun else ""
            asking = took - self._waited if self._begun else took
            counted = f"{self.done} of {self.total or '?'} in {asking:.0f} s"
            log.info("%s: %s%s%s", self.title, counted, self._rate_and_failures(), start)

    def say(self, text: str) -> None:
        """Show what is being done now: a phase, and after a comma its current step."""
        phase = text.partition(",")[0]
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=f"{self.title}: {text}")
        elif (phase != self._phase and not self.quiet) or time.monotonic() - self._last_line_at >= LINE_EVERY_S:
            self._last_line_at = time.monotonic()
            log.info("%s: %s", self.title, text)
        self._phase = phase

    def advance(self, failed: bool = False) -> None:
        """Count one more answer."""
        now = time.monotonic()
        with self._counting:
            self.done += 1
            self.failed += failed
            self._asked += 1
            if self._counted_from is None:
                self._counted_from = now
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, rate=self._rate_and_failures().removeprefix(", "))
        elif now - self._last_line_at >= LINE_EVERY_S:
            self._last_line_at = now
            rate = self._rate()
            left = f", {(self.total - self.done) / rate:.0f} s left" if self.total and rate else ""
            log.info("%s: %d of %s%s%s", self.title, self.done, self.total or "?", self._rate_and_failures(), left)

    def _rate(self) -> float | None:
        """Return the answers per second without the time of waiting; None before there are enough of them."""
        since = 0.0 if self._counted_from is None else time.monotonic() - self._counted_from
        counted = self._asked if self._begun else self._asked - 1
        return counted / since if counted > 0 and since > 0 else None

    def _rate_and_failures(self) -> str:
        rate = self._rate()
        speed = f", {rate:.1f}/s" if rate else ""
        return speed + (f", {self.failed} failed" if self.failed else "")
