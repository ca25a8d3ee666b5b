"""Tables that a sweep may end with, besides the comparison of its jobs: the words of `summaries=[...]`.

Each is a command as well, `python -m runner.WORD SWEEP_DIR`, whose module has `summarise(folder, results) -> files`.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path

from runner.base import command_line
from runner.base.errors import Problem, Refused
from runner.commands import COMMANDS
from runner.jobs.folder import NO_JOB, JobFolder

log = logging.getLogger(__name__)


def write(name: str, folder: Path, results: Sequence[JobFolder]) -> list[Path]:
    """Print one of the tables, write its files into the sweep's folder, return them. What fails here fails no job."""
    try:
        return list(importlib.import_module(COMMANDS[name]).summarise(folder, results))
    except (KeyError, ValueError, TypeError, OSError):
        log.exception("summaries=[%s] failed; the jobs are not affected: python -m runner.%s %s", name, name, folder)
        return []


def again(name: str, description: str | None, arguments: Sequence[str]) -> list[JobFolder]:
    """Do the work of `python -m runner.NAME SWEEP_DIR`: show one of the tables again and write its files anew.

    Return the sweep's results. Raise Refused where there are none.
    """
    parser = command_line.parser(name, description)
    parser.add_argument("folder", type=Path, help="a sweep's folder, such as multirun/2026-01-31/12-00-00")
    folder = parser.parse_args(arguments).folder
    results = JobFolder.below(folder)
    if not results:
        raise Refused(Problem(NO_JOB, str(folder), "name a sweep's folder"))
    importlib.import_module(COMMANDS[name]).summarise(folder, results)
    return results
