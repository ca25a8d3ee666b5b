"""`python -m runner.sync FOLDER...`: brings job folders into MLflow that were not tracked when they were made."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runner.base import command_line
from runner.jobs import tracking
from runner.jobs.folder import NO_JOB, UNFINISHED, JobFolder


def main(arguments: Sequence[str]) -> int:
    """Upload each job folder found at or below the given ones; a folder that is tracked already changes nothing."""
    parser = command_line.parser("sync", __doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a job's folder, or a sweep's")
    failed = 0
    for given in parser.parse_args(arguments).folders:
        folders = sorted(JobFolder.paths_below(given))
        if not folders:
            print(f"{given}: {NO_JOB}", file=sys.stderr)  # noqa: T201
            failed += 1
        for folder in folders:
            try:
                run_id, job = tracking.upload(folder), JobFolder(folder)
                what = f", {job.error}" if job.status == UNFINISHED else ""
                print(f"{folder}: run {run_id}{what}")  # noqa: T201
            except tracking.TrackingError as error:
                print(f"{folder}: {error}", file=sys.stderr)  # noqa: T201
                failed += 1
    return 1 if failed else 0
