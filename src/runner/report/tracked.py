"""Logs the report to MLflow in a run of its own (tag `runner.kind=report`), and finds the jobs of an experiment.

Each sweep has one such run; a report that is made again replaces the page in it.
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


def log(
    results: Sequence[JobFolder], note: str, path: Path, tables: Sequence[Path] = (), *, has_pictures: bool = False
) -> str | None:
    """Bring the page of jobs, with its `note`, and other tables of its sweep to where its jobs are tracked.

    Return the run's id, or None if the jobs are not tracked or there is only one.
    """
    from runner.jobs import tracking

    config = results[0].composed
    if not config.tracking.uri or len(results) < 2:
        return None
    uri = tracking.uri_of(config, results[0].environment)
    files = list(tables)
    if has_pictures and not all(map(_pictures_allowed, results)):
        logger.warning(
            "%s stays here, it holds pictures (tracking.images=false); report.pictures.limit=0 makes it without", path
        )
    else:
        files.insert(0, path)
    run_id: str | None = tracking.background.call(
        "log_report",
        uri=uri,
        experiment=config.tracking.experiment,
        sweep=str(results[0].environment["sweep"]),
        note=note,
        files=files,
    )
    return run_id


def _pictures_allowed(job: JobFolder) -> bool:
    """Tell whether a job's config allows uploading pictures of its documents (`tracking.images`)."""
    return bool(OmegaConf.select(job.composed, "tracking.images", default=True))


def job_runs(uri: str, experiment: str) -> list[str]:
    """Return the run ids of an experiment's finished jobs, oldest first. Raise ValueError if there are none."""
    from runner.jobs import tracking

    with tracking.as_tracking_error(uri):
        connection = tracking.client(uri)
        tracked_experiment = connection.get_experiment_by_name(experiment)
        runs: list[Any] = []
        token = None
        while tracked_experiment is not None:
            wanted = "tags.`runner.kind` = 'job' and attributes.status = 'FINISHED'"
            page = connection.search_runs(
                [tracked_experiment.experiment_id], wanted, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                break
    if not runs:
        raise ValueError(f"no finished job is in the experiment {experiment!r} of {uri}")
    return [str(run.info.run_id) for run in runs]


def note(report: Report) -> str:
    """Return what MLflow shows as the run's description: the verdict on each dataset."""
    lines = []
    for compared in seeing(report):
        decision = decision_of(compared)
        taken = decision.taken.label if decision.taken else compared.texts("verdict.undecided")
        lines.append(f"**{compared.dataset}: {taken}**. {decision.reason}")
    return "\n\n".join(lines)
