"""The report: a table for the terminal, a page for the browser. `python -m runner.report SWEEP_DIR`, docs/report.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.jobs.folder import JobFolder
    from runner.report.model import Report


def write(results: Sequence[JobFolder], path: Path, title: str, **settings: Any) -> Report:
    """Write the page that compares `results`, and return the report's data.

    `settings` (keys of ReportConfig) override those in the config of the first job. Raise ValueError if they name an
    unknown baseline or a measure that no job has.
    """
    from runner.report import loading, page

    report = loading.build(results, loading.settings_of(results, **settings), title, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.write(report, path)
    return report
