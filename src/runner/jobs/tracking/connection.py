"""Where runs are kept: the client of MLflow's server or database, its errors put into words, and links into its UI."""

from __future__ import annotations

import functools
import logging
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from backends.redaction import redact
from runner.base.errors import RunnerError
from runner.base.tracking_address import PASSWORD, UI
from runner.jobs.tracking import views

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
CLOCK_S = 60.0  # that the clock may have been set by meanwhile


class TrackingError(RunnerError):
    """The tracking server or database did not take something."""


def client(uri: str) -> MlflowClient:
    """Return a client; the first one in a process imports mlflow, which takes seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


@functools.cache
def prepare(uri: str, experiment: str) -> None:
    """Create database and experiment once, before parallel jobs race for it, and end what a killed run left open."""
    with as_tracking_error(uri):
        connection = client(uri)
        _make(uri)
        number = experiment_id(connection, experiment)
        for run in connection.search_runs([number], "attributes.status = 'RUNNING'"):
            tags = run.data.tags
            if tags.get("runner.host") == platform.node() and not _alive(
                tags.get("runner.pid", ""), run.info.start_time / 1000
            ):
                connection.set_terminated(run.info.run_id, "KILLED")


def _make(uri: str) -> None:
    """Make a new SQLite database as MLflow does, but without waiting for the disk after each of its 69 migrations.

    That takes a fifth of the time. A version of MLflow that makes its tables otherwise is left to do it by itself.
    """
    prefix, _, name = uri.partition("sqlite:///")
    if prefix or not name or Path(name).exists():
        return
    import sqlalchemy

    try:
        from mlflow.store.db.utils import _safe_initialize_tables  # of 3.7 to 3.17
    except ImportError:
        return
    engine = sqlalchemy.create_engine(uri)
    sqlalchemy.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))  # of this engine
    try:
        _safe_initialize_tables(engine)
    finally:
        engine.dispose()
    with Path(name).open("rb") as file:
        os.fsync(file.fileno())


def hurry() -> None:
    """Give up on a server that does not answer within seconds: a scheduler kills soon after its SIGTERM."""
    os.environ |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}


def uri_of(config: DictConfig, environment: Mapping[str, Any]) -> str:
    """Return where a folder belongs; a database named by a relative path lies where the job was started."""
    uri = config.tracking.uri
    if not uri:
        raise TrackingError("this job was made with tracking=none; set tracking.uri in its config.yaml to upload it")
    prefix, _, path = str(uri).partition("sqlite:///")
    if prefix or not path or Path(path).is_absolute():
        return str(uri)
    return f"sqlite:///{Path(environment.get('cwd', '.')).absolute() / path}"


def link(uri: str, experiment: str, sweep: str | None = None) -> str:
    """Return the address of the page that compares a sweep's runs, or all of an experiment; the UI opens elsewhere."""
    with as_tracking_error(uri):
        connection = client(uri)
        stored = connection.get_experiment_by_name(experiment)
        view = views.share(connection, stored.experiment_id, sweep) if stored and sweep else None
    base = PASSWORD.sub("//", uri).rstrip("/") if uri.startswith("http") else UI
    number = stored.experiment_id if stored else "0"
    shown = f"&viewStateShareKey={view}" if view else ""
    return f"{base}/#/experiments/{number}/runs?workflowType=machine_learning&compareRunsMode=CHART{shown}"


def experiment_id(connection: MlflowClient, name: str) -> str:
    """Return the id of an experiment, made if need be."""
    from mlflow.exceptions import MlflowException

    if stored := connection.get_experiment_by_name(name):
        return str(stored.experiment_id)
    try:
        return str(connection.create_experiment(name))
    except MlflowException:
        # Another process was quicker.
        stored = connection.get_experiment_by_name(name)
        if stored is None:
            raise
        return str(stored.experiment_id)


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
            raise TrackingError(without_password(f"{self.where}: {error}: install the driver of this database"))
        if isinstance(error, OSError) or module in ("mlflow", "sqlalchemy", "requests", "urllib3", "alembic"):
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            # MLflow's own message repeats the address, password and all; so would its traceback.
            raise TrackingError(without_password(f"{self.where}: {first}")) from None


def without_password(text: str) -> str:
    """Return a text without the secrets that are in it: of addresses the user and password, keys, tokens."""
    return redact(PASSWORD.sub("//***@", text))


def _alive(pid: str, started: float) -> bool:
    """Whether the process of a run, which it `started` (Unix time), lives; its number may be another's by now."""
    import psutil

    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        process = psutil.Process(int(pid))
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < started + CLOCK_S
    except psutil.NoSuchProcess:
        return False
