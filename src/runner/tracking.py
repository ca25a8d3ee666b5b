"""MLflow: a job's complete folder becomes one flat run. Nothing else imports mlflow.

`upload(folder)` is idempotent: the run is found again by the folder's `run_id` or the job's uid, and every value is
logged with the job's own time, so that a second upload changes nothing.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from backends.redaction import redact
from runner import answers_table
from runner.errors import RunnerError

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
FILES = (
    *("config.yaml", "answers.jsonl", "scores.jsonl", "verdicts.jsonl"),
    *("metrics.json", "environment.json", "engine.log"),
)
TABLES = ("scores_by_id.csv", "scores_by_field.csv", "scores_by_class.csv", "scores_general.csv")
UI = "http://127.0.0.1:5000"
PASSWORD = re.compile(r"//[^/\s]*@")


class TrackingError(RunnerError):
    """The tracking server or database did not take something."""


def client(uri: str) -> MlflowClient:
    """Return a client; the first one in a process imports mlflow, which takes seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def prepare(uri: str, experiment: str) -> None:
    """Create database and experiment once, before parallel jobs race for it, and end what a killed run left open."""
    with as_tracking_error(uri):
        connection = client(uri)
        experiment_id = _experiment(connection, experiment)
        for run in connection.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
            tags = run.data.tags
            if tags.get("runner.host") == platform.node() and not _alive(tags.get("runner.pid", "")):
                connection.set_terminated(run.info.run_id, "KILLED")


def hurry() -> None:
    """Give up on a server that does not answer within seconds: a scheduler kills soon after its SIGTERM."""
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}


def upload(folder: Path) -> str:
    """Bring a complete job folder into its MLflow run, made if need be, and return the run's id."""
    config = OmegaConf.load(folder / "config.yaml")
    assert isinstance(config, DictConfig)
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    uri = uri_of(config, environment)
    with as_tracking_error(uri):
        connection = client(uri)
        run_id = _run(connection, folder, config, record, environment)
        try:
            if record["status"] == "killed":  # at once: there may be no time for the rest
                connection.set_terminated(run_id, "KILLED")
            _fill(connection, run_id, folder, config, record, environment)
            connection.set_terminated(run_id, STATUS[record["status"]], int(record["finished_at"] * 1000))
        except BaseException:
            connection.set_terminated(run_id, "KILLED")
            raise
    return run_id


def uri_of(config: DictConfig, environment: Mapping[str, Any]) -> str:
    """Return where a folder belongs; a database named by a relative path lies where the job was started."""
    uri = config.tracking.uri
    if not uri:
        raise TrackingError("this job was made with tracking=none; set tracking.uri in its config.yaml to upload it")
    prefix, _, path = str(uri).partition("sqlite:///")
    if prefix or not path or Path(path).is_absolute():
        return str(uri)
    return f"sqlite:///{Path(environment.get('cwd', '.')).absolute() / path}"


def download(uri: str, run_id: str, folder: Path) -> None:
    """Bring the files of a job's run into a folder, with `run_id`, so that an upload finds the same run again."""
    with as_tracking_error(uri):
        connection = client(uri)
        folder.mkdir(parents=True, exist_ok=True)
        listed = {artifact.path for artifact in connection.list_artifacts(run_id)}
        for name in FILES:
            if name in listed:
                connection.download_artifacts(run_id, name, str(folder))
    (folder / "run_id").write_text(run_id + "\n", encoding="utf-8")


def link(uri: str, experiment: str) -> str:
    """Return the address of the page that compares an experiment's runs; the UI opens elsewhere by itself."""
    with as_tracking_error(uri):
        found = client(uri).get_experiment_by_name(experiment)
    base = PASSWORD.sub("//", uri).rstrip("/") if uri.startswith("http") else UI
    number = found.experiment_id if found else "0"
    return f"{base}/#/experiments/{number}/runs?workflowType=machine_learning&compareRunsMode=CHART"


# ------------------------------------------------------------------------------------------------- the parts


class as_tracking_error:  # noqa: N801  (a context manager, read as a phrase)
    """Turn what MLflow, its database or its server may raise into TrackingError."""

    def __init__(self, uri: str) -> None:
        self.where = uri

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None or isinstance(error, TrackingError):
            return
        module = type(error).__module__.partition(".")[0]
        if isinstance(error, ImportError):
            raise TrackingError(_without_password(f"{self.where}: {error}: install the driver of this database"))
        if isinstance(error, OSError) or module in ("mlflow", "sqlalchemy", "requests", "urllib3", "alembic"):
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            # MLflow's own message repeats the address, password and all; so would its traceback.
            raise TrackingError(_without_password(f"{self.where}: {first}")) from None


def _without_password(text: str) -> str:
    return redact(PASSWORD.sub("//***@", text))


def _experiment(connection: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

    if found := connection.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        return str(connection.create_experiment(name))
    except MlflowException:
        # Another process was quicker.
        found = connection.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)


def _run(
    connection: MlflowClient,
    folder: Path,
    config: DictConfig,
    record: Mapping[str, Any],
    environment: Mapping[str, Any],
) -> str:
    """Find the folder's run, or create it."""
    from mlflow.exceptions import MlflowException

    experiment_id = _experiment(connection, config.tracking.experiment)
    known = folder / "run_id"
    if known.exists():
        run_id = known.read_text(encoding="utf-8").strip()
        try:
            connection.get_run(run_id)
        except MlflowException:
            log.info("%s: its run %s is not on this server; a new one is made", folder, run_id)
        else:
            return run_id
    uid = environment["job_uid"]
    runs = connection.search_runs([experiment_id], f"tags.`runner.job_uid` = '{uid}'")
    if runs:
        run_id = runs[0].info.run_id
    else:
        run = connection.create_run(
            experiment_id,
            start_time=int(record["started_at"] * 1000),
            run_name=f"{record['name']}-{config.backend.name}",
            tags=_tags(config, environment),
        )
        run_id = run.info.run_id
    known.write_text(run_id + "\n", encoding="utf-8")
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
    }


def _params(config: DictConfig, environment: Mapping[str, Any]) -> dict[str, str]:
    """Return what a team compares by, under the names of DESIGN.md; values as text."""
    params = {group: config[group].name for group in ("model", "quant", "backend", "dataset", "prompt")}
    params |= {"env": environment["env"]}
    params |= {f"sampling.{name}": value for name, value in config.sampling.items() if name != "name"}
    params |= {"concurrency": config.concurrency, "reuse": config.reuse, "model.weights": config.model.weights}
    params |= {"backend.batch_size": config.backend.batch_size, "checkpoint": environment["checkpoint"]}
    if config.model.adapter:
        params |= {"model.adapter": config.model.adapter}
    params |= {"dataset.path": config.dataset.path, "dataset.limit": config.dataset.limit}
    if config.dataset.get("blind", "none") != "none":
        params |= {"dataset.blind": config.dataset.blind}
    params |= {f"metric.{name}": version for name, version in environment["metric_versions"].items()}
    if config.backend.name == "unknown":
        # Answers of another program: what our config says of sampling and engine is not how they were made.
        unknown = ("sampling.", "concurrency", "reuse", "model.weights", "backend.batch_size")
        params = {name: value for name, value in params.items() if not name.startswith(unknown)}
    return {name: str(value)[:6000] for name, value in params.items()}


def _fill(
    connection: MlflowClient,
    run_id: str,
    folder: Path,
    config: DictConfig,
    record: Mapping[str, Any],
    environment: Mapping[str, Any],
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    # Later scores need a later time: of equal times MLflow shows the highest value, not the newest.
    at = int(record.get("scored_at", record["finished_at"]) * 1000)
    # A run's params can't change: a job that is scored again by another version of a metric keeps the first one there.
    known = connection.get_run(run_id).data.params
    told = {name: value for name, value in _params(config, environment).items() if name not in known}
    params = [Param(name, value) for name, value in told.items()]
    metrics = [Metric(name, value, at, 0) for name, value in record["metrics"].items()]
    tags = [RunTag("runner.error", record["error"][:5000])] if record["error"] else []
    connection.log_batch(run_id, params=params, tags=tags)
    for start in range(0, len(metrics), 1000):
        connection.log_batch(run_id, metrics=metrics[start : start + 1000])
    for name in (*FILES, *TABLES):
        if (folder / name).exists():
            connection.log_artifact(run_id, str(folder / name))
    there = any(artifact.path == "answers.json" for artifact in connection.list_artifacts(run_id))
    table = answers_table.table(folder) if not there or "scored_at" in record else {}
    if there and table:
        # log_table would append the answers once more; what changes with later scores is the column `correct`.
        rows = [list(row) for row in zip(*table.values(), strict=True)]
        connection.log_dict(run_id, {"columns": list(table), "data": rows}, "answers.json")
    elif table.get("sample_id"):
        connection.log_table(run_id, table, "answers.json")


def _alive(pid: str) -> bool:
    import psutil

    return pid.isdigit() and int(pid) != os.getpid() and psutil.pid_exists(int(pid))
