"""env=remote from the command line: machines of a provider that is a process of its own, and that are given back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, CommandLine, Ended
from tests.faults.results import ECHO, jobs, last, nothing_left, stored, wait_for
from tests.patience import patient

CLOUD = ROOT / "tests" / "backends" / "process" / "fake_cloud.py"


class Cloud:
    """The provider's folder: `tests/backends/process/fake_cloud.py` says what lies in it."""

    def __init__(self, folder: Path, cli: CommandLine) -> None:
        self.folder, self.cli = folder, cli
        words = f"{sys.executable},{CLOUD},{folder}"
        package = cli.environment["PYTHONPATH"]
        self.overrides = (
            *ECHO,
            "tracking=none",
            "env=remote",
            "env.remote.wait=null",
            f"env.remote.start=[{words},start,'{{name}}']",
            f"env.remote.run=[{words},run,'{{address}}','{{command}}']",
            f"env.remote.stop=[{words},stop,'{{name}}']",
            f"env.remote.python={sys.executable}",
            f"+env.variables.PYTHONPATH='{package}:{ROOT / 'src'}'",
            "env.remote.gpu=1x Fake",
        )

    def run(self, *arguments: str) -> Ended:
        flags = [one for one in arguments if one.startswith("-")]
        return self.cli(*flags, *self.overrides, *(one for one in arguments if one not in flags))

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def machines(self) -> list[int]:
        return [int(path.read_text()) for path in self.folder.glob("vlm-*")]


@pytest.fixture
def cloud(cli: CommandLine) -> Iterator[Cloud]:
    folder = cli.folder / "cloud"
    folder.mkdir()
    provider = subprocess.Popen([sys.executable, str(CLOUD), str(folder), "serve"])
    wait_for((folder / "ready").exists)
    yield Cloud(folder, cli)
    for pid in Cloud(folder, cli).machines:
        psutil.Process(pid).kill()
    provider.kill()
    provider.wait()


def test_the_jobs_of_a_group_share_one_machine(cloud: Cloud):
    ended = cloud.run("-m", "sampling.seed=1,2", "env.remote.price_per_hour=2")
    assert ended.code == 0, ended.err
    assert cloud.calls == ["start", "run", "stop"] and not cloud.machines
    first, second = jobs(cloud.cli.folder)
    assert [job["metrics"]["engine/starts"] for job in (first, second)] == [1, 0]
    assert len(first["rows"]) == 8 and all(row["error"] is None for row in (*first["rows"], *second["rows"]))
    assert not any(name.startswith(("memory/", "energy/")) for name in second["metrics"]), "not measured, so absent"
    assert any("remote machine" in note for note in second["notes"])
    known = json.loads((second["folder"] / "environment.json").read_text())
    assert known["gpus"] == ["1x Fake"] and known["conditions"]["gpu"] == "1x Fake"
    assert known["conditions"]["host"] == "remote" and known["env"].startswith("remote@")
    assert float(known["engine"]["remote.hours_so_far"]) > 0 and "remote.usd_so_far" in known["engine"]
    assert " ran for 0.0" in ended.err and " USD" in ended.err
    assert "the machine is ready" in (first["folder"] / "engine.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_command_the_machine_is_given_back(cloud: Cloud, number: signal.Signals):
    process = cloud.cli.start(*cloud.overrides, "+backend.engine_args.delay_s=1")
    wait_for(lambda: process.poll() is not None or list((cloud.cli.folder / "store").glob("*.jsonl")))
    assert cloud.machines
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=patient(60))
    wait_for(lambda: cloud.calls == ["start", "run", "stop"])
    wait_for(lambda: not cloud.machines and nothing_left(cloud.cli.folder / "store"))
    if number != signal.SIGKILL:
        assert "giving back the machine vlm-" in output and last(cloud.cli.folder)["status"] == "killed"


def test_a_machine_that_can_not_be_given_back_is_told_of_until_it_is(cloud: Cloud):
    (cloud.folder / "fail-stop").touch()
    ended = cloud.run()
    assert ended.code == 1, "though the job is done"
    assert last(cloud.cli.folder)["status"] == "finished"
    name = next(path.name for path in cloud.folder.glob("vlm-*"))
    told = f"THE MACHINE {name} MAY STILL RUN AND COST MONEY: run {sys.executable} {CLOUD} {cloud.folder} stop {name}"
    assert told in ended.err.splitlines()[-1] and ended.err.count(told) == 2
    assert told in cloud.cli(module="runner.doctor").out.replace("\n", "")
    (cloud.folder / "fail-stop").unlink()
    again = cloud.run("sampling.seed=5")
    assert again.code == 0 and told in again.err, "the machine of the command before"


def test_a_limit_ends_the_job_with_its_reason_and_keeps_what_was_answered(cloud: Cloud):
    limit = ("env.remote.price_per_hour=3600", "env.remote.max_cost=9", "+backend.engine_args.delay_s=2")
    ended = cloud.run("-m", "sampling.seed=1,2", *limit)
    assert ended.code == 1
    first, second = jobs(cloud.cli.folder)
    assert first["status"] == second["status"] == "failed"
    assert "env.remote.max_cost=9 USD at 3600 USD an hour is used up" in first["error"]
    assert "no machine is started any more" in second["error"]
    assert 1 <= len(first["rows"]) < 8
    assert cloud.calls == ["start", "run", "stop"] and not cloud.machines
    assert cloud.run("sampling.seed=1", "env.remote.max_cost=60", limit[0], limit[2]).code == 0
    assert last(cloud.cli.folder)["metrics"]["samples/reused"] == len(first["rows"])


def test_an_engine_that_dies_is_started_again_on_another_machine(cloud: Cloud):
    process = cloud.cli.start(*cloud.overrides, "+backend.engine_args.delay_s=1", "backend.max_restarts=1")
    wait_for(lambda: process.poll() is not None or len(stored(cloud.cli.folder / "store")) >= 2)
    (machine,) = cloud.machines
    psutil.Process(machine).kill()  # the provider took it away
    output, _ = process.communicate(timeout=patient(90))
    assert process.returncode == 0, output
    assert cloud.calls == ["start", "run", "stop"] * 2 and not cloud.machines
    job = last(cloud.cli.folder)
    assert job["metrics"]["engine/starts"] == 2 and len(job["rows"]) == 8 and job["metrics"]["samples/failed"] == 0
    assert any("started again (1x)" in note for note in job["notes"])


def test_replicas_have_a_machine_each(cloud: Cloud):
    ended = cloud.run("backend.replicas=2", "concurrency=2")
    assert ended.code == 0, ended.err
    assert sorted(cloud.calls) == sorted(["start", "run", "stop"] * 2) and not cloud.machines


def test_two_workers_have_two_machines(cloud: Cloud):
    ended = cloud.run("-m", "workers=joblib", "hydra.launcher.n_jobs=2", "model=demo_s,demo_m", "sampling.seed=1,2")
    assert ended.code == 0, ended.err
    assert sorted(cloud.calls) == sorted(["start", "run", "stop"] * 2) and not cloud.machines
    assert [job["status"] for job in jobs(cloud.cli.folder)] == ["finished"] * 4


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["env=remote"], "env.remote.start"),
        (["env=skypilot", "env.remote.max_cost=5"], "env.remote.max_cost: it needs env.remote.price_per_hour"),
        (["env=skypilot", "env.remote.max_hours=0"], "env.remote.max_hours"),
        (["env=skypilot", "pool.gpus=1"], "it claims GPUs of this machine"),
        (["env=current", "env.kind=remote"], "which machine, started, used and stopped how?"),
    ],
)
def test_what_is_refused(cli: CommandLine, overrides: list[str], words: str):
    ended = cli("model=demo_m", *overrides)
    assert ended.code == 2 and words in ended.err
