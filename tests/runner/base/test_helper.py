"""A process beside this one: it does tasks in order, tells errors, and never outlives this one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runner.base.errors import RunnerError
from runner.base.helper import Helper, HelperFailed
from tests.patience import patient

# What the process imports: this module would need the folder above `tests` on its path, and pytest.
PROGRAM = """
import time
from runner.base import helper
from runner.base.errors import RunnerError

def double(number: int) -> int:
    return 2 * number


def refuse(what: str) -> None:
    raise RunnerError(what)


def break_down() -> None:
    raise KeyError("nobody foresaw it")


def sleep(path) -> None:
    path.touch()
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        path.unlink()
        raise


def until_waited_for() -> str:
    while not helper.is_waited_for():
        time.sleep(0.01)
    return "ending" if helper.is_ending() else "waited for"


TASKS = {"double": double, "refuse": refuse, "break_down": break_down, "sleep": sleep}
TASKS["until_waited_for"] = until_waited_for
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "tasks_of_a_test.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)
    return "tasks_of_a_test"


@pytest.fixture
def helper(module: str) -> Iterator[Helper]:
    started = Helper(module, low=True)
    yield started
    started.stop()
    assert not psutil.pid_exists(started.pid)


def seen(path: Path, *, gone: bool = False) -> bool:
    deadline = time.monotonic() + patient(30)
    while path.exists() == gone and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.exists() != gone


def test_tasks_are_done_in_order_and_each_result_is_its_own(helper: Helper):
    first, second = helper.begin("double", number=1), helper.begin("double", number=2)
    assert helper.result(second) == 4 and helper.result(first) == 2
    assert not helper.busy()


def test_a_task_is_told_when_its_own_result_is_waited_for(helper: Helper):
    first, second = helper.begin("until_waited_for"), helper.begin("until_waited_for")
    assert helper.busy()
    assert helper.result(first) == "waited for"
    assert helper.busy(), "nobody waits for the second yet"
    assert helper.result(second) == "waited for"


def test_what_a_task_raises_is_raised_here(helper: Helper):
    with pytest.raises(RunnerError, match="no such server"):
        helper.result(helper.begin("refuse", what="no such server"))
    with pytest.raises(HelperFailed, match="nobody foresaw it"):
        helper.result(helper.begin("break_down"))
    assert helper.result(helper.begin("double", number=3)) == 6, "and it goes on"


def test_a_process_that_was_killed_fails_what_it_was_at(helper: Helper, tmp_path: Path):
    task = helper.begin("sleep", path=tmp_path / "asleep")
    assert seen(tmp_path / "asleep") and helper.busy()
    os.kill(helper.pid, signal.SIGKILL)
    with pytest.raises(HelperFailed, match=r"'sleep' has ended \(killed by SIGKILL"):
        helper.result(task)


def test_it_ends_with_the_process_that_started_it(module: str, tmp_path: Path):
    """Also after kill -9: the task is interrupted, and may tidy up."""
    program = f"""if True:
        import os, signal, time
        from pathlib import Path
        from runner.base.helper import Helper
        helper = Helper({module!r}, low=False)
        helper.begin("sleep", path=Path({str(tmp_path / "asleep")!r}))
        print(helper.pid, flush=True)
        time.sleep(600)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert seen(tmp_path / "asleep")
        parent.kill()
    assert seen(tmp_path / "asleep", gone=True)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=patient(30))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
