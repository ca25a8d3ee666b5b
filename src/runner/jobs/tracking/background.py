"""Tracking that nobody waits for: a process of its own imports mlflow, prepares the database and uploads.

It is started with a command's first job. What it does is told when it is done: before the next engine of ours is asked,
whose answers are timed and need the cores, and at the end of the command. Without it (a worker of a cluster, a test)
everything is done in this process.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.base.helper import Helper, HelperFailed, has_idle_cores
from runner.jobs.tracking import tasks
from runner.jobs.tracking.connection import TrackingError, hurry

log = logging.getLogger(__name__)
LAST_WORDS_S = 3.0  # that uploads are given when the command is ended: a scheduler kills soon after its SIGTERM
_helper: Helper | None = None
_waiting: Callable[[], None] | None = None
_preparing: int | None = None
_uploads: dict[int, tuple[str, Path]] = {}  # task -> the job's title and folder


def start(uri: str, experiment: str, *, low: bool) -> None:
    """Begin to prepare for jobs that are tracked there. `low`: their answers come from an endpoint, and are timed.

    Where such answers need all cores it begins with `answers_came`.
    """
    global _waiting
    stop()
    beside = low and has_idle_cores()
    _waiting = functools.partial(_start, uri, experiment, low=beside)
    if beside or not low:
        answers_came()


def answers_came() -> None:
    """Begin what had to wait for a job's last answer."""
    global _waiting
    waiting, _waiting = _waiting, None
    if waiting is not None:
        waiting()


def _start(uri: str, experiment: str, *, low: bool) -> None:
    global _helper, _preparing
    _helper = Helper("runner.jobs.tracking.tasks", low=low)
    _preparing = _helper.begin("prepare", uri=uri, experiment=experiment)
    _helper.begin("warm")


def upload(title: str, folder: Path) -> None:
    """Bring a job's complete folder to its run, soon; a problem is logged, then or by `settle`."""
    answers_came()
    if _helper is None:
        _tell(title, folder, None)
    else:
        _uploads[_helper.begin("upload", folder=folder)] = (title, folder)


def upload_of_a_killed_job(title: str, folder: Path) -> None:
    """Bring a job's folder to its run at once, without patience for a server that doesn't answer."""
    deadline = time.monotonic() + LAST_WORDS_S
    while _helper is not None and _helper.busy() and time.monotonic() < deadline:
        time.sleep(0.05)
    if _helper is None or _helper.busy():
        _interrupted()
        stop()
        hurry()
    else:
        settle()
    if _helper is not None:
        _helper.begin("hurry")
    upload(title, folder)
    settle()


def is_ready() -> bool:
    """Say whether what is asked of the process is done at once."""
    return _helper is not None and not _helper.busy()


def call(task: str, **given: Any) -> Any:
    """Do a task of runner.jobs.tracking.tasks now and return its result. Raise TrackingError."""
    if _helper is None:
        return tasks.TASKS[task](**given)  # type: ignore[operator]
    try:
        return _helper.result(_helper.begin(task, **given))
    except HelperFailed as error:
        raise TrackingError(str(error)) from error


def settle() -> None:
    """Wait until all that was begun is done, and tell what went wrong."""
    global _preparing
    answers_came()
    if _helper is None:
        return
    try:
        if _preparing is not None:
            task, _preparing = _preparing, None
            try:
                _helper.result(task)
            except (TrackingError, HelperFailed) as error:
                warning = "tracking is not available: %s\n  jobs run; upload them later with python -m runner.sync"
                log.warning(warning, error)
        for number in list(_uploads):
            _tell(*_uploads[number], number)
            del _uploads[number]
    except BaseException:
        _interrupted()
        raise


def stop() -> None:
    """End the process."""
    global _helper, _preparing, _waiting
    _waiting = None
    _interrupted()
    if _helper is not None:
        _helper.stop()
    _helper = _preparing = None


def _tell(title: str, folder: Path, number: int | None) -> None:
    """Upload a folder, or wait for its upload, and say what went wrong."""
    from runner.jobs.tracking.runs import upload as upload_here

    try:
        if number is None:
            upload_here(folder)
        elif _helper is not None:
            _helper.result(number)
    except (TrackingError, HelperFailed) as problem:
        log.warning(
            "%s: not tracked: %s\n  its folder is complete; upload it later: python -m runner.sync %s",
            title,
            problem,
            folder,
        )
    except BaseException:
        if number is None:
            _say_interrupted(title, folder)
        raise


def _interrupted() -> None:
    """Say which uploads were cut off."""
    while _uploads:
        _, (title, folder) = _uploads.popitem()
        _say_interrupted(title, folder)


def _say_interrupted(title: str, folder: Path) -> None:
    log.warning("%s: its upload was interrupted; repeat it: python -m runner.sync %s", title, folder)
