"""The report in MLflow: the page on a run of its own, tagged `runner.kind=report`; and the jobs of an experiment.

One run per sweep: a report that is made again replaces the page there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.jobs.folder import JobFolder
from runner.report.model import Report
from runner.report.spoken import decision_of, seeing

logger = logging.getLogger(__name__)


def log(report: Report, path: Path, tables: Sequence[Path] = ()) -> str | None:
    """Bring the page and other tables of its sweep to where its jobs are tracked.

    Return the run's id, None where nothing is tracked or compared.
    """
    from runner.jobs import tracking

    results = report.results
    config = results[0].composed
    if not config.tracking.uri or len(results) < 2:
        return None
    uri = tracking.uri_of(config, results[0].environment)
    with tracking.as_tracking_error(uri):
        connection = tracking.client(uri)
        found = connection.get_experiment_by_name(config.tracking.experiment)
        if found is None:
            return None
        run_id = _run(connection, found.experiment_id, str(results[0].environment["sweep"]))
        connection.set_tag(run_id, "mlflow.note.content", _note(report))
        if report.settings.pictures.limit and not all(_pictures_allowed(result) for result in results):
            logger.warning(
                "%s stays here, it holds pictures (tracking.images=false); report.pictures.limit=0 makes it without",
                path,
            )
        else:
            connection.log_artifact(run_id, str(path))
        for table in tables:
            connection.log_artifact(run_id, str(table))
        connection.set_terminated(run_id)
    return run_id


def _pictures_allowed(job: JobFolder) -> bool:
    """Say whether a job lets pictures of its documents leave this machine."""
    return bool(OmegaConf.select(job.composed, "tracking.images", default=True))


def job_runs(uri: str, experiment: str) -> list[str]:
    """Return the ids of an experiment's finished jobs, oldest first. Raise ValueError where there are none."""
    from runner.jobs import tracking

    with tracking.as_tracking_error(uri):
        connection = tracking.client(uri)
        found = connection.get_experiment_by_name(experiment)
        runs: list[Any] = []
        token = None
        while found is not None:
            wanted = "tags.`runner.kind` = 'job' and attributes.status = 'FINISHED'"
            page = connection.search_runs(
                [found.experiment_id], wanted, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                break
    if not runs:
        raise ValueError(f"no finished job is in the experiment {experiment!r} of {uri}")
    return [str(run.info.run_id) for run in runs]


def _run(connection: Any, experiment_id: str, sweep: str) -> str:
    wanted = f"tags.`runner.kind` = 'report' and tags.`runner.sweep` = '{sweep}'"
    if runs := connection.search_runs([experiment_id], wanted):
        return str(runs[0].info.run_id)
    tags = {"runner.kind": "report", "runner.sweep": sweep, "mlflow.source.name": "runner"}
    return str(connection.create_run(experiment_id, run_name=f"report {sweep}", tags=tags).info.run_id)


def _note(report: Report) -> str:
    """Return what MLflow shows as the run's description: the verdict on each dataset."""
    lines = []
    for one in seeing(report):
        decision = decision_of(one)
        taken = decision.taken.label if decision.taken else one.texts("verdict.undecided")
        lines.append(f"**{one.dataset}: {taken}**. {decision.reason}")
    return "\n\n".join(lines)
