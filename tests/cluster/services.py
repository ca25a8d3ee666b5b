"""A team's tracking server: a real MLflow server on a real PostgreSQL, both in a folder of the test."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.patience import patient

POSTGRES_USER = "postgres"  # PostgreSQL refuses to run as root


class PostgresTracking:
    """Start it with `with`; `uri` is the server's address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> PostgresTracking:
        try:
            database = self._postgres()
            self._mlflow(database)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _postgres(self) -> str:
        home = self.folder / "postgres"
        home.mkdir()
        shutil.chown(home, POSTGRES_USER)
        for parent in (self.folder, *self.folder.parents):
            if parent.owner() == "root" and str(parent).startswith("/tmp/"):
                parent.chmod(0o755)
        (binaries,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        password, port = secrets.token_hex(8), _free_port()
        secret = self.folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        as_user = ["runuser", "-u", POSTGRES_USER, "--"]
        options = ["-D", str(home / "data"), "-U", "mlflow", "--auth=scram-sha-256", f"--pwfile={secret}"]
        subprocess.run(
            [*as_user, str(binaries / "initdb"), *options], check=True, capture_output=True, timeout=patient(60)
        )
        listen = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={home}", "-p", str(port)]
        self._start("postgres", [*as_user, str(binaries / "postgres"), "-D", str(home / "data"), *listen])
        _wait(lambda: socket.create_connection(("127.0.0.1", port), 1).close(), 30)
        return f"postgresql://mlflow:{password}@127.0.0.1:{port}/postgres"

    def _mlflow(self, database: str) -> None:
        port = _free_port()
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", "2", "--artifacts-destination", str(self.folder / "artifacts")]
        self._start("mlflow", command, MLFLOW_BACKEND_STORE_URI=database, MLFLOW_DISABLE_TELEMETRY="true")
        self.uri = f"http://127.0.0.1:{port}"
        _wait(lambda: urllib.request.urlopen(f"{self.uri}/health", timeout=2).close(), 90)

    def runs(self, experiment: str) -> list[Any]:
        """Return the runs of an experiment."""
        client = self._client()
        return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))

    def artifacts(self, run_id: str) -> set[str]:
        """Return the names of a run's files."""
        return {file.path for file in self._client().list_artifacts(run_id)}

    def _client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def _start(self, name: str, command: list[str], **variables: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | variables, start_new_session=True
            )
        self._processes.append(process)

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            if process.poll() is None:
                os.killpg(process.pid, 15)
                try:
                    process.wait(patient(15))
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, 9)
                    process.wait()


def _wait(attempt: Any, within_s: float) -> None:
    deadline = time.monotonic() + patient(within_s)
    while True:
        try:
            return attempt()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
