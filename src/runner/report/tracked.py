"""The report in MLflow: the page on a run of its own, tagged `runner.kind=report`; and the jobs of an experiment.

One run per sweep: a report that is made again replaces the page there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from runner.report.model import Report
from runner.report.spoken import decision_of, seeing

logger = logging.getLogger(__name__)


def log(report: Report, path: Path, tables: Sequence[Path] = ()) -> str | None:
    """Bring the page and other tables of its sweep to where its jobs are tracked.

    Return the run's id, None where nothing is tracked or compared.
    """
    from runner.jobs import tracking

    results = report.results
    config = OmegaConf.load(results[0].folder / "config.yaml")
    assert isinstance(config, DictConfig)
    if not config.tracking.uri or len(results) < 2:
        return None
    uri = tracking.uri_of(config, results[0].environment)
    files = list(tables)
    if report.settings.pictures.limit and not all(_pictures_allowed(result.folder) for result in results):
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
        note=_note(report),
        files=files,
    )
    return run_id


def _pictures_allowed(folder: Path) -> bool:
    """Say whether a job lets pictures of its documents leave this machine."""
    return bool(OmegaConf.select(OmegaConf.load(folder / "config.yaml"), "tracking.images", default=True))


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


def _note(report: Report) -> str:
    """Return what MLflow shows as the run's description: the verdict on each dataset."""
    lines = []
    for one in seeing(report):
        decision = decision_of(one)
        taken = decision.taken.label if decision.taken else one.texts("verdict.undecided")
        lines.append(f"**{one.dataset}: {taken}**. {decision.reason}")
    return "\n\n".join(lines)
