"""Signals of schedulers and people, and a clock that is set while a job runs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.conftest import CommandLine
from tests.faults.results import ECHO, SLOWLY, jobs, last, nothing_left, stored, wait_for
from tests.patience import patient


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[[Path], CommandLine]) -> CommandLine:
    """A command line whose database exists, as making one takes long."""
    cli = make_cli(tmp_path_factory.mktemp("tracked"))
    assert cli(*ECHO, "dataset.limit=1").code == 0
    return cli


def statuses(cli: CommandLine) -> list[str]:
    client = MlflowClient(f"sqlite:///{cli.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("documents").experiment_id
    return [run.info.status for run in client.search_runs([experiment], order_by=["start_time ASC"])]


def begun(cli: CommandLine, *arguments: str, answers: int = 3) -> subprocess.Popen[str]:
    """Start a job and wait for its first answers."""
    before = len(stored(cli.folder / "store"))
    process = cli.start(*ECHO, SLOWLY, *arguments)
    wait_for(lambda: process.poll() is not None or len(stored(cli.folder / "store")) >= before + answers)
    return process


def test_sigterm_of_a_scheduler_saves_all_and_marks_the_run_before_the_process_ends(tracked: CommandLine):
    process = begun(tracked, "sampling.seed=1")
    os.kill(process.pid, signal.SIGTERM)
    wait_for(lambda: statuses(tracked)[-1:] == ["KILLED"])
    output, _ = process.communicate(timeout=patient(30))
    assert process.returncode == 143 and "is being saved" in output
    killed = last(tracked.folder)
    assert killed["status"] == "killed" and 3 <= len(killed["rows"]) < 8
    assert nothing_left(tracked.folder / "store")
    assert tracked(*ECHO, SLOWLY, "sampling.seed=1").code == 0
    assert last(tracked.folder)["metrics"]["samples/reused"] == len(killed["rows"])


def test_sigterm_does_not_wait_for_a_tracking_server_that_hangs(cli: CommandLine):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        cli.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        cli.environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "2"  # for the start; the end has a limit of its own
        cli.environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        process = begun(cli)
        os.kill(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=patient(40))
    assert process.returncode == 143 and "python -m runner.sync" in output
    assert last(cli.folder)["status"] == "killed"


def test_ctrl_c_twice_stops_at_once_and_loses_nothing(tracked: CommandLine):
    process = begun(tracked, "sampling.seed=2")
    received = len(stored(tracked.folder / "store"))
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=patient(30))
    assert process.returncode in (130, -signal.SIGINT), output
    assert nothing_left(tracked.folder / "store")
    assert len(stored(tracked.folder / "store")) >= received
    for job in jobs(tracked.folder):
        assert job["status"] in ("finished", "killed"), "what was written is whole"
    assert tracked(*ECHO, SLOWLY, "sampling.seed=2").code == 0
    assert last(tracked.folder)["metrics"]["samples/reused"] >= 3
    assert "RUNNING" not in statuses(tracked), "what was cut off is ended by the next start"


CLOCK_STEP_S = 3600  # a duration of half of it or more would hold the step
# Loaded by every Python process of the test: each second the clock is set, an hour back or two hours ahead. So it is
# set several times while the answers come, however slow the start was.
JUMPING = """
import time
_real = time.time
def _jumping():
    return _real() + (7200 if int(time.monotonic()) % 2 else -3600)
time.time = _jumping
"""


def test_a_clock_that_is_set_changes_no_duration(cli: CommandLine, third_party: Path):
    (cli.folder / "clock").mkdir()
    (cli.folder / "clock" / "sitecustomize.py").write_text(JUMPING)
    cli.environment["PYTHONPATH"] = f"{cli.folder}/clock:{third_party}"
    ended = cli(*ECHO, "tracking=none", "+backend.engine_args.delay_s=0.5", "concurrency=1")
    assert ended.code == 0, ended.err
    job = last(cli.folder)
    latencies = [row["timing"]["latency_s"] for row in job["rows"]]
    assert all(0.5 <= latency < CLOCK_STEP_S / 2 for latency in latencies)
    assert (
        max(row["timing"]["sent_at"] for row in job["rows"]) - min(row["timing"]["sent_at"] for row in job["rows"])
        > 3000
    ), "the clock did jump"
    assert 4 < job["finished_at"] - job["started_at"] < CLOCK_STEP_S / 2
    assert 8 / (CLOCK_STEP_S / 2) < job["metrics"]["throughput/requests_per_s"] < 2.1
    assert job["metrics"]["engine/load_s"] < CLOCK_STEP_S / 2
