"""The report of a job whose answers come from an endpoint is prepared meanwhile, by a process beside this one.

It imports what the report needs, which takes a second of CPU, and scales the pictures that the page will probably show.
An engine of this machine may need all cores for its answers, which are timed: with such a one nothing is prepared, and
the report is made in this process, as it is where the other process is gone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.base.helper import Helper, HelperFailed
from runner.jobs.folder import JobFolder

_helper: Helper | None = None


@dataclass(frozen=True)
class Written:
    """What is told of a page that was written: lines for the terminal, and what its run in MLflow says."""

    lines: Sequence[str]
    note: str
    has_pictures: bool


def prepare(names: Iterable[str], limit: int, pixels: int, mib: float) -> None:
    """Begin to import, and to scale so many pictures, named as in answers.jsonl, for a page of these settings."""
    global _helper
    if _helper is None:
        _helper = Helper("runner.report.background", low=True)
    first = list(dict.fromkeys(itertools.islice(names, 10 * limit)))[:limit]
    _helper.begin("prepare", names=first, pixels=pixels, mib=mib)


def write(results: Sequence[JobFolder], path: Path, title: str) -> Written:
    """Write the page, in the other process where there is one. Raise ValueError as `runner.report.write` does."""
    if _helper is not None:
        try:
            written: Written = _helper.result(_helper.begin("write", results=list(results), path=path, title=title))
        except HelperFailed:
            pass  # it was killed, perhaps for its memory; or the same error comes again, with its traceback
        else:
            return written
    return _write(results, path, title)


def stop() -> None:
    """End the process."""
    global _helper
    if _helper is not None:
        _helper.stop()
    _helper = None


# ------------------------------------------------------------------------------------------------- tasks


def _prepare(names: Sequence[str], pixels: int, mib: float) -> None:
    import scipy.stats  # noqa: F401

    from runner.report import loading, page, pictures, spoken, tracked  # noqa: F401

    pictures.scale_ahead(names, pixels, mib)


def _write(results: Sequence[JobFolder], path: Path, title: str) -> Written:
    from runner import report
    from runner.report import spoken, tracked

    made = report.write(results, path, title)
    return Written(list(spoken.lines(made)), tracked.note(made), bool(made.settings.pictures.limit))


TASKS: dict[str, Any] = {"prepare": _prepare, "write": _write}
