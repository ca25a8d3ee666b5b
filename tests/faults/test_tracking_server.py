"""A real MLflow server that is not there, and one that dies in the middle of a job."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.conftest import CommandLine
from tests.faults.results import ECHO, SLOWLY, jobs, stored, wait_for
from tests.patience import patient

pytestmark = [pytest.mark.soak]


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server on its database in `folder`; it is ended with -9, in any case."""
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept")]
    log = (folder / "server.log").open("ab")
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        with socket.socket() as probe:
            wait_for(lambda: probe.connect_ex(("127.0.0.1", port)) == 0, 120)
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_folders_are_complete_without_it_and_uploaded_later_once(cli: CommandLine, tmp_path: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    there = tmp_path / "server"
    there.mkdir()
    uri = f"http://127.0.0.1:{port}"
    cli.environment |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    down = cli(*ECHO)
    assert down.code == 0 and "tracking is not available" in down.err and "runner.sync" in down.err
    with server(there, port) as process:
        job = cli.start(*ECHO, "sampling.seed=1", SLOWLY)
        wait_for(lambda: len(stored(cli.folder / "store")) >= 8 + 3, 90)
        kill(process)
        output, _ = job.communicate(timeout=patient(120))
    assert job.returncode == 0, output
    assert "not tracked" in output and "runner.sync" in output
    assert [(one["status"], len(one["rows"])) for one in jobs(cli.folder)] == [("finished", 8)] * 2
    with server(there, port):
        for _ in range(2):
            synced = cli("outputs", module="runner.sync")
            assert synced.code == 0, synced.err
        client = MlflowClient(uri)
        runs = client.search_runs([client.get_experiment_by_name("documents").experiment_id])
        assert [run.info.status for run in runs] == ["FINISHED"] * 2
        for run in runs:
            history = client.get_metric_history(run.info.run_id, "quality/cer")
            assert len({(one.timestamp, one.step, one.value) for one in history}) == 1
            names = [artifact.path for artifact in client.list_artifacts(run.info.run_id)]
            assert len(names) == len(set(names)) and "answers.json" in names
