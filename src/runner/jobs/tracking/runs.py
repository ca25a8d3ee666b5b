"""A job's complete folder becomes one flat run, the same however often it is uploaded.

The run is found again by the folder's `run_id` or the job's uid, and every value is logged with the job's own time, so
that a second upload changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tenacity
from omegaconf import DictConfig

from runner.config.load import CLOSED
from runner.config.request_form import request_form
from runner.jobs import answers_table, pages_shown
from runner.jobs.folder import ANSWERS_TABLE, FILES, RUNNING, TABLES, UNFINISHED, JobFolder
from runner.jobs.tracking import connection as server
from runner.jobs.tracking import description, traces

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED", UNFINISHED: "KILLED"}


def upload(folder: Path) -> str:
    """Bring a job's folder into its MLflow run, made if need be, and return the run's id.

    What a job that was killed has is uploaded as a killed run. Raise TrackingError for a job that still runs.
    """
    job = JobFolder(folder)
    if job.status == RUNNING:
        raise server.TrackingError(f"not uploaded: it is {job.error}")
    uri = server.uri_of(job.composed, job.environment)
    described = _described(job)  # before a run exists: a folder that isn't complete leaves none behind
    with server.as_tracking_error(uri):
        log.info("%s: uploading to MLflow", job.name)
        connection = server.client(uri)
        if job.status != "killed":  # then there may be no time
            server.prepare(uri, job.composed.tracking.experiment)
        run_id = _run(connection, job, described)
        try:
            if job.status == "killed":  # at once: there may be no time for the rest
                connection.set_terminated(run_id, "KILLED")
            _fill(connection, run_id, job, described)
            traces.log_traces(connection, uri, run_id, job, job.composed)
            connection.set_terminated(run_id, STATUS[job.status], int(job.ended_at * 1000))
        except Exception:
            # The job ended as it did; what failed is its upload, which `runner.sync` repeats.
            with contextlib.suppress(Exception):  # or it would hide why the upload failed
                connection.set_terminated(run_id, "FAILED")
            raise
        except BaseException:
            connection.set_terminated(run_id, "KILLED")
            raise
    return run_id


def download(uri: str, run_id: str, folder: Path) -> None:
    """Bring the files of a job's run into a folder, with `run_id`, so that an upload finds the same run again."""
    with server.as_tracking_error(uri):
        connection = server.client(uri)
        folder.mkdir(parents=True, exist_ok=True)
        listed = {artifact.path for artifact in connection.list_artifacts(run_id)}
        for name in FILES:
            if name in listed:
                connection.download_artifacts(run_id, name, str(folder))
    JobFolder(folder).write_run_id(run_id)


# ------------------------------------------------------------------------------------------------- the parts


def _run(connection: MlflowClient, job: JobFolder, described: _Described) -> str:
    """Find the folder's run, or create it."""
    from mlflow.exceptions import MlflowException

    experiment_id = server.experiment_id(connection, job.composed.tracking.experiment)
    if (run_id := job.run_id) is not None:
        try:
            connection.get_run(run_id)
        except MlflowException:
            log.info("%s: its run %s is not on this server; a new one is made", job.path, run_id)
        else:
            return run_id
    uid = job.environment["job_uid"]
    runs = connection.search_runs([experiment_id], f"tags.`runner.job_uid` = '{uid}'")
    if runs:
        run_id = runs[0].info.run_id
    else:
        run = connection.create_run(
            experiment_id,
            start_time=int(job.record["started_at"] * 1000),
            run_name=described.name,
            tags=dict(described.tags),
        )
        run_id = run.info.run_id
    job.write_run_id(run_id)
    return str(run_id)


def _tags(config: DictConfig, environment: Mapping[str, Any]) -> dict[str, str]:
    return {
        "runner.kind": "job",
        "runner.sweep": environment["sweep"],
        "runner.job_uid": environment["job_uid"],
        "runner.config_hash": environment["config_hash"],
        "runner.host": environment["host"],
        "runner.pid": str(os.getpid()),
        "runner.gpu": ", ".join(environment["gpus"]) or "none",
        "git_commit": environment["git_commit"] or "none",
        "mlflow.user": os.environ.get("USER", "unknown"),
        "mlflow.source.name": "runner",
        "model": config.model.name,
        "quant": config.quant.name,
        "dataset": config.dataset.name,
        "backend": config.backend.name,
        "prompt": config.prompt.name,
        "licence": str(config.model.licence),
    }


def _params(config: DictConfig, environment: Mapping[str, Any]) -> dict[str, str]:
    """Return what a team compares by, under the names of DESIGN.md; values as text."""
    params = {group: config[group].name for group in ("model", "quant", "backend", "dataset", "prompt")}
    params |= {"env": environment["env"]}
    params |= {f"sampling.{name}": value for name, value in config.sampling.items() if name != "name"}
    # Not claimed as if it had been sent.
    omitted = [*request_form(config).omit, *environment.get("not_sent", ())]
    params |= {f"sampling.{name}": "not sent" for name in omitted if name in config.sampling}
    params |= {"concurrency": config.concurrency, "reuse": config.reuse, "model.weights": config.model.weights}
    params |= {"backend.batch_size": config.backend.batch_size, "checkpoint": environment["checkpoint"]}
    if prices := environment.get("prices"):  # by which the cost was reckoned
        params["prices"] = prices
    load = config.get("load") or {}  # configs of old sweeps lack it
    if load.get("arrivals", CLOSED) != CLOSED:
        params |= {f"load.{name}": value for name, value in load.items() if value is not None}
    race = config.get("race") or {}
    if race.get("active"):
        params |= {f"race.{name}": race[name] for name in ("error", "seed")}
    if config.get("repeats_over_time", 1) > 1:
        params |= {"repeats_over_time": config.repeats_over_time}
    if config.model.adapter:
        params |= {"model.adapter": config.model.adapter}
    params |= {"dataset.path": config.dataset.path, "dataset.limit": config.dataset.limit}
    if config.dataset.get("blind", "none") != "none":
        params |= {"dataset.blind": config.dataset.blind}
    if config.dataset.get("degrade"):
        params |= {f"dataset.{key}": config.dataset[key] for key in pages_shown.KEYS}
    params |= {f"metric.{name}": version for name, version in environment["metric_versions"].items()}
    if config.backend.name == "unknown":
        # Answers of another program: what our config says of sampling and engine is not how they were made.
        unknown = ("sampling.", "load.", "concurrency", "reuse", "model.weights", "backend.batch_size")
        params = {name: value for name, value in params.items() if not name.startswith(unknown)}
    return {name: str(value)[:6000] for name, value in params.items()}


@dataclass(frozen=True)
class _Described:
    """What a run says of its job besides figures and files."""

    tags: Mapping[str, str]
    params: Mapping[str, str]
    note: str
    name: str


def _described(job: JobFolder) -> _Described:
    return _Described(
        _tags(job.composed, job.environment) | ({"runner.race": job.cut_short} if job.cut_short else {}),
        _params(job.composed, job.environment),
        description.text(job, job.composed, job.environment),
        description.run_name(job.name, job.composed, job.environment, job.cut_short),
    )


def _fill(connection: MlflowClient, run_id: str, job: JobFolder, described: _Described) -> None:
    from mlflow.entities import Metric, Param, RunTag

    record = job.record
    # Later scores need a later time: of equal times MLflow shows the highest value, not the newest.
    at = int(record.get("scored_at", job.ended_at) * 1000)
    run = connection.get_run(run_id)
    # A run's params can't change: a job that is scored again by another version of a metric keeps the first one there.
    missing = {name: value for name, value in described.params.items() if name not in run.data.params}
    params = [Param(name, value) for name, value in missing.items()]
    # MLflow's page of a run, and its evaluation runs, show metrics in the order in which they were logged first (3.17).
    metrics = [Metric(name, record["metrics"][name], at, 0) for name in description.ordered(record["metrics"])]
    tags = [RunTag("runner.error", job.error[:5000])] if job.error else []
    tags.append(RunTag("mlflow.note.content", server.without_password(described.note)))
    connection.log_batch(run_id, params=params, tags=tags)
    if not run.inputs.dataset_inputs:
        _log_dataset(connection, run_id, _dataset(job))
    for start in range(0, len(metrics), 1000):
        connection.log_batch(run_id, metrics=metrics[start : start + 1000])
    for name in (*FILES, *TABLES):
        if (job.path / name).exists():
            connection.log_artifact(run_id, str(job.path / name))
    _answers(connection, run_id, job, again="scored_at" in record)


def _log_dataset(connection: MlflowClient, run_id: str, dataset: Any) -> None:
    """Log a run's dataset; again where a parallel job was listing the same one.

    MLflow looks whether an experiment has the dataset and then adds it: of two at once its database refuses one
    (unique constraint `dataset_pk`), and the next try finds what the other has added.
    """
    from mlflow.exceptions import MlflowException

    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(MlflowException),
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_random(0.05, 0.5),
        reraise=True,
    )
    attempts(connection.log_inputs, run_id, datasets=[dataset])


def _dataset(job: JobFolder) -> Any:
    """Return what MLflow lists under a run's datasets: which questions, by a digest that changes with them."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    config, total = job.composed.dataset, int(job.metric("samples/total") or 0)
    filters = {name: config[name] for name in ("split", "doc_class", "field", "limit") if config[name] is not None}
    source = {"path": str(config.path), "format": str(config.format)}
    described = Dataset(
        name=config.name,
        # MLflow takes 36 characters. Answers of another program bring no digest: they are named by the answers.
        digest=str(job.environment.get("dataset_digest") or job.environment["config_hash"])[:36],
        source_type="local",
        source=json.dumps(source, ensure_ascii=False),
        profile=json.dumps({"answers": total, **filters}, ensure_ascii=False, default=str),
    )
    return DatasetInput(described, [InputTag("mlflow.data.context", "evaluation")])


def _answers(connection: MlflowClient, run_id: str, folder: JobFolder, *, again: bool) -> None:
    """Log the answers as the table that MLflow compares; again where later scores change the column `correct`.

    Not `log_table`: it wants all rows in memory, twice, and appends to the table that is there.
    """
    there = any(artifact.path == ANSWERS_TABLE for artifact in connection.list_artifacts(run_id))
    if there and not again:
        return
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / ANSWERS_TABLE
        if answers_table.write(folder, path):
            connection.log_artifact(run_id, str(path))
            # What log_table sets, too: by this the UI knows a run's tables.
            tables = [{"path": ANSWERS_TABLE, "type": "table"}]
            connection.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps(tables))
