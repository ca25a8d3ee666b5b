"""The report of a sweep in MLflow: one run, tagged `runner.kind=report`, whose page is replaced by the next one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.jobs.tracking import connection as server


def log_report(uri: str, experiment: str, sweep: str, note: str, files: Sequence[Path]) -> str | None:
    """Bring files to the run of a sweep's report, with a description. Return the run's id; None without experiment."""
    with server.as_tracking_error(uri):
        connection = server.client(uri)
        stored = connection.get_experiment_by_name(experiment)
        if stored is None:
            return None
        run_id = _run(connection, stored.experiment_id, sweep)
        connection.set_tag(run_id, "mlflow.note.content", note)
        for file in files:
            connection.log_artifact(run_id, str(file))
        connection.set_terminated(run_id)
    return run_id


def _run(connection: Any, experiment_id: str, sweep: str) -> str:
    wanted = f"tags.`runner.kind` = 'report' and tags.`runner.sweep` = '{sweep}'"
    if runs := connection.search_runs([experiment_id], wanted):
        return str(runs[0].info.run_id)
    tags = {"runner.kind": "report", "runner.sweep": sweep, "mlflow.source.name": "runner"}
    return str(connection.create_run(experiment_id, run_name=f"report {sweep}", tags=tags).info.run_id)
