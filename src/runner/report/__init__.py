"""The report: a table for the terminal, a page for the browser. `python -m runner.report SWEEP_DIR`, docs/report.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.jobs.folder import JobFolder
    from runner.report.model import Report


def write(results: Sequence[JobFolder], path: Path, title: str, **settings: Any) -> Report:
    """Write the page that compares `results` and return what it shows.

    `settings` (of ReportConfig) go before those that the first job was composed with. Raise ValueError where they name
    what is not there: an unknown baseline, a measure that was not measured.
    """
    from runner.report import loading, page

    made = loading.build(results, loading.settings_of(results, **settings), title, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.write(made, path)
    return made
