"""Metrics that need a model: they run in a worker process (`metrics.worker`) in an environment of their choice.

The runner therefore never imports torch, and ending the process frees the GPU. If a text can't be scored (missing
weights or library, crashed worker), its score is unscored with the reason.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from metrics.api import Case, Measure, Score
from metrics.statistics import ratio_of_sums

if TYPE_CHECKING:
    from metrics.api import Array

_LOG = logging.getLogger(__name__)
_PROGRESS_S = 10.0


class WorkerMetric(ABC):
    """A metric whose numbers come from a worker process.

    `env` is `current` (this interpreter), the path of another Python, or a virtual environment's folder. A worker that
    sends nothing for `silence_s` seconds is ended. The default is long, because loading weights sends nothing.
    """

    measures: tuple[Measure, ...]
    task: str

    def __init__(self, env: str = "current", silence_s: float = 3600) -> None:
        if isinstance(silence_s, bool) or not isinstance(silence_s, int | float) or silence_s <= 0:
            raise ValueError(f"silence_s is {silence_s!r}; valid: seconds above 0")
        self.env, self.silence_s = env, silence_s
        self._python = interpreter(env)
        self._found_version = ""

    @property
    def version(self) -> str:
        """Definition and options; after scoring also the versions of the worker's libraries."""
        options = json.dumps(self.options(), ensure_ascii=False, sort_keys=True)
        return f"1 {options} {self._found_version}".rstrip()

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return the options of the worker's task."""

    @abstractmethod
    def items(self, case: Case) -> tuple[str, list[dict[str, Any]]]:
        """Return (reason, items): the items to score for a case, or the reason why there are none."""

    @abstractmethod
    def scored(self, case: Case, replies: Sequence[Mapping[str, Any]]) -> Iterator[Score]:
        """Yield the scores of one case from the worker's replies to its items; all of these succeeded."""

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (numerator, denominator), shape (..., 2), into ratios, shape (...)."""
        return ratio_of_sums(totals)

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure. Items are deduplicated before they go to the worker."""
        asked = [self.items(case) for case in cases]
        index: dict[str, int] = {}
        for _, items in asked:
            for item in items:
                index.setdefault(json.dumps(item, sort_keys=True), len(index))
        replies = self._ask(list(index)) if index else {}
        for case, (reason, items) in zip(cases, asked, strict=True):
            answers = [replies[index[json.dumps(item, sort_keys=True)]] for item in items]
            # If one reference can't be scored, the others still count.
            good = [answer for answer in answers if "reason" not in answer]
            if good:
                yield from self.scored(case, good)
                continue
            why = reason or str(answers[0]["reason"])
            yield from (Score(case.sample_id, case.repeat, measure.name, None, reason=why) for measure in self.measures)

    def _ask(self, items: list[str]) -> dict[int, Mapping[str, Any]]:
        """Start a worker, send it all items, and return a reply to each. Missing replies get a reason instead."""
        replies: dict[int, Mapping[str, Any]] = {}
        with tempfile.TemporaryFile() as errors:
            process = self._start(errors)
            guard = _Guard(process, self.silence_s)
            try:
                reason = self._talk(process, items, replies, guard)
            finally:
                guard.stop()
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stdout):
                    with contextlib.suppress(BrokenPipeError):  # closing flushes what the ended worker never read
                        if stream is not None:
                            stream.close()
            if not reason and len(replies) < len(items):
                reason = guard.reason or f"the worker of {self.task} ended early: {_last_line(errors)}"
        if reason:
            _LOG.warning("%s: %d of %d texts unscored: %s", self.task, len(items) - len(replies), len(items), reason)
        return {at: replies.get(at, {"reason": reason}) for at in range(len(items))}

    def _start(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        source = str(Path(__file__).parents[1])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [self._python, "-m", "metrics.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(paths), "TOKENIZERS_PARALLELISM": "false"}
            | {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"},
        )

    def _talk(
        self,
        process: subprocess.Popen[bytes],
        items: list[str],
        replies: dict[int, Mapping[str, Any]],
        guard: _Guard,
    ) -> str:
        """Send the request, collect the replies, and return why scoring had to stop; an empty text if it did not."""
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker was started without pipes")
        header = json.dumps({"task": self.task, "options": self.options(), "items": len(items)})
        try:
            process.stdin.write("\n".join([header, *items, ""]).encode())
            process.stdin.flush()
        except BrokenPipeError:
            return ""  # the worker ended before it had read everything; its standard error says why
        shown = time.monotonic()
        for line in process.stdout:
            guard.heard()
            message = json.loads(line)
            if "index" in message:
                replies[message["index"]] = message
            elif "unavailable" in message:
                return str(message["unavailable"])
            elif "version" in message:
                self._found_version = message["version"]
            elif "progress" in message and time.monotonic() - shown >= _PROGRESS_S:
                shown = time.monotonic()
                _LOG.info("%s: %.0f%% of %d texts", self.task, 100 * message["progress"], len(items))
            elif "done" in message:
                break
        return ""


class _Guard:
    """A watchdog that ends a process which has sent nothing for too long."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._process, self._seconds, self.reason = process, seconds, ""
        self._last, self._ended = time.monotonic(), threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        """Record that the process sent something."""
        self._last = time.monotonic()

    def stop(self) -> None:
        """Stop watching."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(max(0.05, self._last + self._seconds - time.monotonic())):
            if time.monotonic() - self._last >= self._seconds:
                self.reason = f"the worker said nothing for {self._seconds:g} s"
                self._process.kill()
                return


def interpreter(env: str) -> str:
    """Return the Python interpreter of an environment. Raise ValueError if there is none."""
    if env == "current":
        return sys.executable
    path = Path(env).expanduser()
    for candidate in (path / "bin" / "python", path):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise ValueError(f"env is {env!r}; valid: current, the path of a Python, or a folder with bin/python")


def _last_line(errors: IO[bytes]) -> str:
    """Return the last line that a process wrote to standard error."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
