"""Tables that a sweep may end with, besides the comparison of its jobs: the words of `summaries=[...]`."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path

from runner.report.results import Result

log = logging.getLogger(__name__)
# Word -> module with `summarise(folder, results)`; each can be run again: python -m runner.WORD SWEEP_DIR
MODULES = {name: f"runner.{name}" for name in ("parity", "memory_profile", "resolution")}


def write(name: str, folder: Path, results: Sequence[Result]) -> None:
    """Print one of the tables and write its files into the sweep's folder. What fails here fails no job."""
    try:
        importlib.import_module(MODULES[name]).summarise(folder, results)
    except (KeyError, ValueError, TypeError, OSError):
        log.exception("summaries=[%s] failed; the jobs are not affected: python -m runner.%s %s", name, name, folder)
