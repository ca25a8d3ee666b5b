"""Finds the jobs that a command names: a job's folder, a sweep's folder, or the id of an MLflow run."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.base.tracking_address import default_uri
from runner.jobs.folder import NO_JOB, JobFolder

RUN_ID = re.compile(r"[0-9a-f]{32}")
NAMES = "a job's folder, a sweep's folder, or the id of an MLflow run (32 digits)"


@contextlib.contextmanager
def folders(named: Sequence[str], uri: str | None = None) -> Iterator[list[list[JobFolder]]]:
    """Yield, for each name, its jobs; the folders of MLflow runs are there as long as this is open.

    Raise Refused with every name that is nothing of the kind, TrackingError where a run can't be had.
    """
    problems: list[Problem] = []
    groups: list[list[JobFolder]] = []
    with tempfile.TemporaryDirectory(prefix="runner-") as kept:
        for name in named:
            path = Path(name).expanduser()
            if not path.exists() and RUN_ID.fullmatch(name):
                path = _downloaded(uri or default_uri(), name, Path(kept) / name)
            jobs = JobFolder.below(path)
            if not jobs:
                what = NO_JOB if path.exists() else "does not exist"
                problems.append(Problem(what, name, f"name {NAMES}"))
            groups.append(jobs)
        if problems:
            raise Refused(problems)
        yield groups


def _downloaded(uri: str, run_id: str, folder: Path) -> Path:
    from runner.jobs import tracking

    tracking.download(uri, run_id, folder)
    return folder
