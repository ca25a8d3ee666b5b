from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from fake_backend import FakeBackend, ask, gone, spec, wait_until

from backends.api import EngineFailed, EngineSpec
from backends.process.server import ServedEngine, start
from tests.patience import patient

TESTS = Path(__file__).parents[1]


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "engine.log"


def started(log_path: Path, **args: object) -> ServedEngine:
    return start(FakeBackend(), spec(**args), log_path=log_path, timeout_s=patient(20))


def failure_of(
    log_path: Path, backend: FakeBackend | None = None, timeout_s: float = 300, **args: object
) -> EngineFailed:
    with pytest.raises(EngineFailed) as caught:
        start(backend or FakeBackend(), spec(**args), log_path=log_path, timeout_s=timeout_s)
    return caught.value


def test_an_engine_is_started_asked_under_two_event_loops_and_closed(log_path: Path) -> None:
    said: list[str] = []
    began = time.monotonic()
    engine = start(FakeBackend(), spec(load_s=0.5), log_path=log_path, timeout_s=patient(20), on_progress=said.append)
    try:
        assert engine.alive()
        assert engine.load_s is not None and 0.5 <= engine.load_s <= time.monotonic() - began
        assert "reading weights" in said
        assert ask(engine, "one") == "echo: one"
        mark = engine.mark()
        assert ask(engine, "two") == "echo: two"
        stats = engine.since(mark)
        assert stats.facts["asked"] == "1"
        assert stats.facts["log"].startswith("fake engine on port")
        assert stats.cpu_peak_gib is not None and stats.cpu_peak_gib > 0.005
        assert stats.gpu_peak_gib is None or stats.gpu_peak_gib > 0
        environment = psutil.Process(engine.watchdog_pid).environ()
        assert psutil.Process(engine.pid).environ()["HF_HUB_DISABLE_TELEMETRY"] == "1"
        for process in (psutil.Process(engine.pid), psutil.Process(engine.watchdog_pid)):
            assert engine.endpoint.api_key not in " ".join(process.cmdline())
        assert engine.endpoint.api_key not in " ".join(environment.values())
    finally:
        engine.close()
    assert gone(engine.pid, engine.watchdog_pid)
    assert not engine.alive()
    engine.close()


def test_an_unknown_environment_is_refused_by_name(log_path: Path) -> None:
    with pytest.raises(ValueError, match=r"env=mars: .*there are: current"):
        start(FakeBackend(), EngineSpec("fake", "fake", env="mars"), log_path=log_path)


def test_a_crash_at_the_start_says_cause_exit_code_command_and_log_without_the_key(log_path: Path) -> None:
    failure = failure_of(log_path, crash="no more widgets").failure
    assert failure.kind == "out_of_memory"
    assert "order more" in failure.message
    assert "exit code 3" in failure.message
    assert "fake_engine.py --port" in failure.message
    assert "Traceback: no more widgets; key ***" in failure.message


def test_a_command_that_does_not_exist(log_path: Path) -> None:
    class Missing(FakeBackend):
        def launch(self, spec: EngineSpec, port: int):
            launch = super().launch(spec, port)
            return type(launch)(("/nowhere/python3",))

    failure = failure_of(log_path, Missing()).failure
    assert failure.kind == "start_failed"
    assert "/nowhere/python3: No such file" in failure.message


def test_an_engine_that_reports_failure_on_its_health_path(log_path: Path) -> None:
    failure = failure_of(log_path, fail_health="the weights are torn").failure
    assert failure.kind == "start_failed"
    assert "the weights are torn" in failure.message
    assert "exit code 1" in failure.message


def test_an_engine_that_never_listens_times_out_and_is_gone(log_path: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    failure = failure_of(log_path, timeout_s=1.0, deaf="yes", pid_file=pid_file).failure
    assert failure.kind == "start_failed"
    assert "not ready within 1 s" in failure.message
    assert "fake_engine.py" in failure.message
    assert "fake engine on port" in failure.message
    assert gone(*json.loads(pid_file.read_text()))


def test_a_port_that_is_taken_costs_a_second_try(log_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        backend = FakeBackend(first_port=taken.getsockname()[1])
        engine = start(backend, spec(), log_path=log_path, timeout_s=patient(20))
    try:
        assert len(backend.ports) == 2
        assert ask(engine, "hello") == "echo: hello"
    finally:
        engine.close()


def test_another_engine_on_our_port_is_not_taken_for_ours(log_path: Path, tmp_path: Path) -> None:
    other = started(tmp_path / "other.log")
    try:
        backend = FakeBackend(first_port=int(other.endpoint.url.split(":")[2].split("/")[0]))
        engine = start(backend, spec(), log_path=log_path, timeout_s=patient(20))
        engine.close()
        assert engine.endpoint.url != other.endpoint.url
        assert len(backend.ports) == 2
    finally:
        other.close()


def test_a_crash_later_is_noticed_at_once_and_explained(log_path: Path) -> None:
    engine = started(log_path)
    try:
        mark = engine.mark()
        with socket.create_connection(("127.0.0.1", int(engine.endpoint.url.split(":")[2].split("/")[0]))) as raw:
            request = f"GET /crash/no+more+widgets HTTP/1.1\r\nAuthorization: Bearer {engine.endpoint.api_key}\r\n\r\n"
            raw.sendall(request.encode())
            raw.recv(100)
        wait_until(lambda: not engine.alive(), 2)
        report = engine.crash_report()
        assert report.kind == "out_of_memory" and report.retryable
        assert "exit code 7" in report.message and "order more" in report.message and "fake_engine" in report.message
        stats = engine.since(mark)  # the peaks survive the engine
        assert stats.cpu_peak_gib is not None
        assert any("did not answer" in note for note in stats.notes)
    finally:
        engine.close()
    assert gone(engine.pid, engine.watchdog_pid)
    assert "exit code 7" in engine.crash_report().message


def test_an_engine_killed_by_sigkill(log_path: Path) -> None:
    engine = started(log_path)
    try:
        os.kill(engine.pid, signal.SIGKILL)
        wait_until(lambda: not engine.alive(), 2)
        report = engine.crash_report()
        assert report.kind == "engine_died"
        assert "SIGKILL" in report.message and "memory" in report.message
    finally:
        engine.close()


def test_close_kills_a_stubborn_engine_and_children_in_sessions_of_their_own(log_path: Path, tmp_path: Path) -> None:
    engine = started(log_path, stubborn="yes", children=2, pid_file=tmp_path / "pids")
    pids = json.loads((tmp_path / "pids").read_text())
    assert len(pids) == 3 and not gone(pids[1]) and not gone(pids[2])
    began = time.monotonic()
    engine._process.stop(grace_s=0.5)
    assert time.monotonic() - began >= 0.5, "it was given its time"
    assert gone(*pids, engine.watchdog_pid)


def test_kill_9_of_the_watchdog_ends_the_engine_and_close_ends_its_strays(log_path: Path, tmp_path: Path) -> None:
    engine = started(log_path, children=1, pid_file=tmp_path / "pids")
    pids = json.loads((tmp_path / "pids").read_text())
    os.kill(engine.watchdog_pid, signal.SIGKILL)
    wait_until(lambda: not engine.alive(), 2)
    wait_until(lambda: gone(engine.pid), 2)
    assert "watchdog above it was killed" in engine.crash_report().message
    engine.close()
    wait_until(lambda: gone(*pids), 2)


def test_kill_9_of_the_runner_leaves_nothing(tmp_path: Path) -> None:
    pid_file = tmp_path / "pids"
    # The runner also forks a child that inherits the pipe: the watchdog must not wait for that one.
    code = f"""
import os, sys, time
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS.parent)!r}]
from pathlib import Path
from fake_backend import FakeBackend, spec
from backends.process.server import start
engine = start(FakeBackend(), spec(stubborn="yes", children=1, pid_file={str(pid_file)!r}),
               log_path=Path({str(tmp_path / "engine.log")!r}), timeout_s={patient(20)})
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
print(engine.watchdog_pid, child, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        watchdog, child = map(int, runner.stdout.readline().split())
        pids = json.loads(pid_file.read_text())
        assert not gone(watchdog) and not any(gone(pid) for pid in pids)
        runner.kill()
        try:
            wait_until(lambda: gone(watchdog, *pids), 5)
        finally:
            os.kill(child, signal.SIGKILL)


def test_an_interrupt_while_starting_leaves_nothing(log_path: Path, tmp_path: Path) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(FakeBackend(), spec(load_s=30, pid_file=tmp_path / "pids"), log_path=log_path, on_progress=interrupt)
    assert gone(*json.loads((tmp_path / "pids").read_text()))


def test_an_engine_may_be_started_in_a_thread_that_ends(log_path: Path) -> None:
    engines: list[ServedEngine] = []
    thread = threading.Thread(target=lambda: engines.append(started(log_path)))
    thread.start()
    thread.join()
    try:
        assert ask(engines[0], "still there") == "echo: still there"
    finally:
        engines[0].close()
