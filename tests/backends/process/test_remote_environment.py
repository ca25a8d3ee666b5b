"""Engines on machines of a provider that is a process of its own (`fake_cloud.py`): real commands, sockets, signals."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fake_backend import FakeBackend, ask, gone, spec, wait_until
from patience import patient

from backends.api import EngineFailed, EngineSpec, Launch
from backends.process import undoing
from backends.process.remote_environment import RemoteEnvironment, RemoteSettings
from backends.process.remote_machine import VARIABLE
from backends.process.server import ServedEngine, start

CLOUD = Path(__file__).parent / "fake_cloud.py"
TESTS = Path(__file__).parents[1]


class Cloud:
    """The fake provider: what it was asked, which machines run, what is to go wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = (sys.executable, str(CLOUD), str(folder))

    def settings(self, **changes: object) -> RemoteSettings:
        usual = RemoteSettings(
            start=(*self.command, "start", "{name}"),
            run=(*self.command, "run", "{address}", "{command}"),
            stop=(*self.command, "stop", "{name}"),
            python=sys.executable,
        )
        return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]

    def environment(self, **changes: object) -> RemoteEnvironment:
        # A label of its own: the time that a label's machines took is summed up over the process.
        return RemoteEnvironment(self.folder.parent.name, self.settings(**changes), self.records, self.folder)

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def calls(self) -> list[str]:
        return [line.split()[0] for line in (self.folder / "calls").read_text().splitlines()]

    @property
    def machines(self) -> list[int]:
        """The process ids of the machines that were not stopped."""
        return [int(path.read_text()) for path in self.folder.glob("vlm-*")]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    folder = tmp_path / "cloud"
    folder.mkdir()
    provider = subprocess.Popen([sys.executable, str(CLOUD), str(folder), "serve"])
    wait_until((folder / "ready").exists)
    yield Cloud(folder)
    for pid in Cloud(folder).machines:
        psutil.Process(pid).kill()
    provider.kill()
    provider.wait()


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "engine.log"


def started(cloud: Cloud, log_path: Path, args: dict[str, object] | None = None, **changes: object) -> ServedEngine:
    environment = cloud.environment(**changes)
    return start(FakeBackend(), spec(**(args or {})), log_path=log_path, timeout_s=patient(20), environment=environment)


def failure_of(cloud: Cloud, log_path: Path, args: dict[str, object] | None = None, **changes: object) -> str:
    with pytest.raises(EngineFailed) as caught:
        started(cloud, log_path, args, **changes)
    return caught.value.failure.message


def assert_given_back(cloud: Cloud) -> None:
    assert cloud.calls[-1] == "stop"
    assert not cloud.machines
    assert not list(cloud.records.glob("*"))


def test_a_machine_is_started_used_and_given_back_once(cloud: Cloud, log_path: Path) -> None:
    (cloud.folder / "slow-start").write_text("1.5")
    engine = started(cloud, log_path, price_per_hour=3600.0)
    try:
        assert ask(engine, "one") == "echo: one"
        (machine,) = cloud.machines
        assert engine.load_s is not None and engine.load_s < 1.5, "the start of the machine is not the engine's"
        (record,) = rentals_of(cloud)
        assert record["stop"][-1] == record["name"] and record["keeper"] == engine.watchdog_pid
        assert not undoing.left(cloud.records), "somebody looks after it"
        mark = engine.mark()
        assert ask(engine, "two") == "echo: two"
        stats = engine.since(mark)
        assert stats.facts["asked"] == "1", "the engine's own account comes through"
        assert stats.cpu_peak_gib is None and stats.gpu_peak_gib is None and stats.energy_joules is None
        assert any("remote machine" in note for note in stats.notes)
        assert float(stats.facts["remote.usd_so_far"]) >= 1.5, "a USD a second, since before it was started"
        assert engine.alive() and not gone(machine)
    finally:
        engine.close()
    assert cloud.calls == ["start", "run", "stop"]
    assert gone(machine)
    assert_given_back(cloud)
    engine.close()
    assert cloud.calls.count("stop") == 1


def rentals_of(cloud: Cloud) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in cloud.records.glob("*.json")]


def test_the_key_is_in_no_command_line_and_not_in_the_log(cloud: Cloud, log_path: Path) -> None:
    (cloud.folder / "slow-start").write_text("1")
    engine = started(cloud, log_path)
    try:
        key = engine.endpoint.api_key
        lines = []
        for process in psutil.process_iter():
            try:
                lines.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        assert any("fake_engine.py --port" in line and "exec 3<&0" not in line for line in lines), "the engine runs"
        assert not any(key in line for line in lines)
        assert ask(engine, "with the key") == "echo: with the key", "and yet the engine has it"
    finally:
        engine.close()
    assert key not in log_path.read_text()
    assert not any(key in path.read_text() for path in cloud.folder.glob("calls"))


def test_variables_go_with_the_engine_and_folders_are_renamed(
    cloud: Cloud, log_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "t0ken-of-the-hub 'quoted'")
    seen = cloud.folder / "seen"
    script = f"import json, os, sys; open({str(seen)!r}, 'w').write(json.dumps([dict(os.environ), sys.argv[1:]]))"

    class Tells(FakeBackend):
        def launch(self, spec: EngineSpec, port: int) -> Launch:
            return Launch(("python", "-c", script, "/models/a/b", "/models2", str(port)), {"MODE": "x y"})

    settings = {"pass_variables": ("A_TOKEN", "NOT_SET"), "folders": {"/models": "work/m"}}
    environment = dataclasses.replace(cloud.environment(**settings), variables={"HOME": "/there"})
    with pytest.raises(EngineFailed, match="the run command ended: 0"):
        start(Tells(), spec(), log_path=log_path, environment=environment)
    variables, arguments = json.loads(seen.read_text())
    assert variables["A_TOKEN"] == "t0ken-of-the-hub 'quoted'" and "NOT_SET" not in variables
    assert variables["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert variables["MODE"] == "x y" and variables["HOME"] == "/there"
    assert len(variables["RUNNER_ENGINE_KEY"]) > 20 and "RUNNER_REMOTE" not in variables
    assert arguments[:2] == ["work/m/a/b", "/models2"]
    assert "t0ken-of-the-hub" not in log_path.read_text()
    assert_given_back(cloud)


def test_a_start_that_fails_is_given_back_all_the_same(cloud: Cloud, log_path: Path) -> None:
    (cloud.folder / "fail-start").touch()
    (cloud.folder / "vlm-none").write_text("0")
    message = failure_of(cloud, log_path)
    assert "env.remote.start failed with exit code 5" in message and "no money" in message
    assert f"start {cloud_name(message)}" in message, "the command as it was run"
    (cloud.folder / "vlm-none").unlink()
    assert cloud.calls[:2] == ["start", "stop"]


def cloud_name(message: str) -> str:
    return next(word.strip(";'") for word in message.split() if word.startswith("vlm-"))


def test_a_machine_that_is_never_ready_is_given_back(cloud: Cloud, log_path: Path) -> None:
    message = failure_of(cloud, log_path, wait=("false",), start_timeout_s=2.5)
    assert "not ready within 2.5 s (env.remote.start_timeout_s); it was at env.remote.wait" in message
    assert_given_back(cloud)


def test_a_start_command_that_hangs_is_ended_and_given_back(cloud: Cloud, log_path: Path) -> None:
    (cloud.folder / "slow-start").write_text("60")
    message = failure_of(cloud, log_path, start_timeout_s=1.0)
    assert "it was at env.remote.start" in message
    assert "stop" in cloud.calls


def test_an_engine_that_is_never_ready_is_given_back(cloud: Cloud, log_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"not ready within 1 s"):
        start(FakeBackend(), spec(deaf="yes"), log_path=log_path, timeout_s=1.0, environment=cloud.environment())
    assert_given_back(cloud)


def test_an_engine_that_crashes_is_explained_by_its_own_words(cloud: Cloud, log_path: Path) -> None:
    message = failure_of(cloud, log_path, {"crash": "no more widgets"})
    assert "order more" in message and "exit code 3" in message
    assert_given_back(cloud)


def test_the_engine_ends_with_its_connection(cloud: Cloud, log_path: Path, tmp_path: Path) -> None:
    engine = started(cloud, log_path, {"pid_file": tmp_path / "pids"})
    try:
        (pid,) = json.loads((tmp_path / "pids").read_text())
        (client,) = (one for one in psutil.Process(engine.pid).children() if "run" in one.cmdline())
        client.kill()
        wait_until(lambda: not engine.alive())
        wait_until(lambda: gone(pid))
        assert "the run command ended" in engine.crash_report().message
    finally:
        engine.close()
    assert_given_back(cloud)


def test_a_tunnel_that_breaks_ends_the_engine(cloud: Cloud, log_path: Path) -> None:
    engine = started(cloud, log_path, tunnel=("sleep", "3"))
    try:
        wait_until(lambda: not engine.alive())
        assert "the tunnel command ended: 0" in engine.crash_report().message
    finally:
        engine.close()
    assert_given_back(cloud)


def test_a_stop_that_fails_is_tried_again_and_told_of_loudly(
    cloud: Cloud, log_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = started(cloud, log_path)
    (cloud.folder / "fail-stop").touch()
    engine.close()
    assert cloud.calls.count("stop") == 3
    (left,) = undoing.left(cloud.records)
    command = f"{CLOUD} {cloud.folder} stop {left.name}"
    (told,) = (record.getMessage() for record in caplog.records if record.levelname == "ERROR")
    assert f"THE MACHINE {left.name} MAY STILL RUN AND COST MONEY: run " in told and command in told
    assert "no money" in log_path.read_text() and command in log_path.read_text()
    assert cloud.machines


def test_a_stop_that_hangs_is_given_up(cloud: Cloud, log_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = started(cloud, log_path, stop_timeout_s=0.5)
    (cloud.folder / "slow-stop").write_text("60")
    engine.close()
    assert "it took more than 0.5 s (env.remote.stop_timeout_s)" in log_path.read_text()
    assert len(undoing.left(cloud.records)) == 1


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_hours": 6 / 3600}, "env.remote.max_hours="),
        ({"max_cost": 6.0, "price_per_hour": 3600.0}, "env.remote.max_cost=6 USD at 3600 USD an hour"),
    ],
)
def test_a_limit_ends_the_machine_and_no_other_is_started(
    cloud: Cloud, log_path: Path, limit: dict[str, float], said: str
) -> None:
    engine = started(cloud, log_path, **limit)
    try:
        assert ask(engine, "in time") == "echo: in time"
        wait_until(lambda: not engine.alive())
        failure = engine.crash_report()
        assert failure.kind == "over_budget" and not failure.retryable and said in failure.message
        wait_until(lambda: not cloud.machines)
    finally:
        engine.close()
    assert_given_back(cloud)
    with pytest.raises(EngineFailed, match=r"no machine is started any more: env\.remote\.max") as caught:
        started(cloud, log_path, **limit)
    assert caught.value.failure.kind == "over_budget"
    assert cloud.calls.count("start") == 1


def test_the_limit_also_holds_while_the_machine_starts(cloud: Cloud, log_path: Path) -> None:
    (cloud.folder / "slow-start").write_text("60")
    assert "the machine's time is over" in failure_of(cloud, log_path, max_hours=2 / 3600)
    assert cloud.calls == ["start", "stop", "stop", "stop"], "there was no machine to stop yet"


RUNNER = """
import os, sys, time
from pathlib import Path
sys.path[:0] = [{tests!r}, {here!r}, {root!r}]
from fake_backend import FakeBackend, spec
from test_remote_environment import Cloud, started
engine = started(Cloud(Path({folder!r})), Path({log!r}))
print("ready", engine.watchdog_pid, flush=True)
time.sleep(120)
"""


def code_of_runner(cloud: Cloud, log_path: Path) -> str:
    folders = {"tests": str(TESTS), "here": str(CLOUD.parent), "root": str(CLOUD.parents[2])}
    return RUNNER.format(**folders, folder=str(cloud.folder), log=str(log_path))


def runner(cloud: Cloud, log_path: Path) -> tuple[subprocess.Popen[str], int]:
    code = code_of_runner(cloud, log_path)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    word, watchdog = process.stdout.readline().split()
    assert word == "ready"
    return process, int(watchdog)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_runner_that_is_killed_leaves_no_machine(cloud: Cloud, log_path: Path, number: signal.Signals) -> None:
    process, _ = runner(cloud, log_path)
    (machine,) = cloud.machines
    process.send_signal(number)
    process.wait(patient(10))
    wait_until(lambda: gone(machine))
    wait_until(lambda: not list(cloud.records.glob("*")))
    assert_given_back(cloud)


def test_a_runner_that_is_killed_while_the_machine_starts(cloud: Cloud, log_path: Path) -> None:
    (cloud.folder / "slow-start").write_text("1.5")
    code = code_of_runner(cloud, log_path)
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_until((cloud.folder / "calls").exists)
    process.kill()
    process.wait()
    wait_until(lambda: "stop" in cloud.calls)


def test_a_watchdog_that_is_killed_is_stood_in_for(cloud: Cloud, log_path: Path) -> None:
    engine = started(cloud, log_path)
    os.kill(engine.watchdog_pid, signal.SIGKILL)
    wait_until(lambda: not engine.alive())
    engine.close()
    assert_given_back(cloud)


def test_a_machine_whose_record_was_removed_is_given_back(cloud: Cloud, log_path: Path) -> None:
    engine = started(cloud, log_path)
    shutil.rmtree(cloud.records)  # with the store, by somebody who tidied up
    engine.close()
    assert cloud.calls == ["start", "run", "stop"] and not cloud.machines


def test_a_record_that_can_not_be_removed_is_told_of(cloud: Cloud, log_path: Path) -> None:
    engine = started(cloud, log_path)
    (record,) = cloud.records.glob("*.json")
    record.unlink()
    record.mkdir()  # root may remove any file
    engine.close()
    assert cloud.calls.count("stop") == 1 and not cloud.machines
    assert f"undo: remove {record}, which could not be removed" in log_path.read_text()


def test_a_line_break_is_not_handed_over(cloud: Cloud, log_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_CREDENTIAL", "one line\n\nand another")
    with pytest.raises(ValueError, match=r"env\.remote\.pass_variables: \$A_CREDENTIAL holds a line break"):
        cloud.environment(pass_variables=("A_CREDENTIAL",))


def test_a_machine_that_nobody_looks_after_is_known(cloud: Cloud, log_path: Path) -> None:
    process, watchdog = runner(cloud, log_path)
    os.kill(watchdog, signal.SIGKILL)
    process.kill()
    process.wait()
    wait_until(lambda: len(undoing.left(cloud.records)) == 1)
    (left,) = undoing.left(cloud.records)
    assert cloud.machines and f"stop {left.name}; then remove {left.record}" in left.warning
    assert subprocess.run(left.stop, check=False).returncode == 0
    assert not cloud.machines


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stop": ()}, r"env\.remote\.stop: a command is needed"),
        ({"stop": ("down", "all")}, r"env\.remote\.stop: {name} is missing"),
        ({"run": ("ssh", "{address}")}, r"env\.remote\.run: {command} is missing"),
        ({"start": ("up", "{nmae}")}, r"env\.remote\.start: there is no {nmae}"),
        ({"stop": ("down", "{name}", "{address}")}, r"env\.remote\.stop: {address} is not known yet"),
        ({"max_cost": 5.0}, r"env\.remote\.max_cost: it needs env\.remote\.price_per_hour"),
    ],
)
def test_what_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Cloud(Path("/nowhere")).settings(**changes)


def test_engines_side_by_side_divide_what_the_limit_leaves(tmp_path: Path) -> None:
    settings = Cloud(tmp_path).settings(max_hours=1.0)
    for share, seconds in ((1, 3600), (4, 900)):
        environment = RemoteEnvironment("shared", settings, tmp_path, tmp_path, share=share)
        launch = environment.prepare(Launch(("python", "-m", "server")))
        assert json.loads(launch.variables[VARIABLE])["limit_s"] == seconds


def test_the_name_says_what_decides_the_software(tmp_path: Path) -> None:
    task = tmp_path / "task.yaml"
    task.write_text("setup: pip install vllm")
    cloud = Cloud(tmp_path)

    def name(**changes: object) -> str:
        environment = RemoteEnvironment("e", cloud.settings(start=("up", "task.yaml"), **changes), tmp_path, tmp_path)
        return environment.name

    plain = name()
    assert plain.startswith("e@") and name(max_hours=9.0, wait=("true",)) == plain, "neither changes an answer"
    assert name(python="python3.12") != plain
    task.write_text("setup: pip install vllm==0.33")
    assert name() != plain
