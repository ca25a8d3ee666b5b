"""What long work says: lines without a terminal, a bar with one, and lines above the bar."""

import logging
import os
import pty
import subprocess
import sys
import time

import pytest

from runner.base import progress
from runner.base.progress import Progress
from tests.patience import patient


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """The lines that were said; no time passes between them unless a test lets it."""
    caplog.set_level(logging.INFO, logger="runner.base.progress")
    clock = {"now": 100.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["now"])
    return caplog, clock


def test_phases_are_lines_at_once_and_what_changes_within_them_is_not(said):
    lines, clock = said
    with Progress("job", 100) as work:
        work.say("starting")
        for share in range(50):
            work.say(f"starting, loading weights {share}%")
        clock["now"] += progress.LINE_EVERY_S
        work.say("starting, loading weights 50%")
        work.say("warming up")
    assert lines.messages == ["job: starting", "job: starting, loading weights 50%", "job: warming up"]


def test_counts_come_with_rate_and_time_left(said):
    lines, clock = said
    with Progress("job", 100) as work:
        clock["now"] += 60  # a slow start doesn't slow the rate down
        for number in range(41):
            work.advance(failed=number == 7)
            clock["now"] += 0.5
    assert lines.messages[0] == "job: 1 of 100"
    assert lines.messages[1] == "job: 31 of 100, 2.0/s, 1 failed, 34 s left"
    assert lines.messages[-1] == "job: 41 of 100 in 80 s, 2.0/s, 1 failed"


def test_starting_and_asking_are_told_apart(said):
    lines, clock = said
    with Progress("job", 50) as work:
        work.say("starting")
        for _ in range(10):  # found in the store, before anything is asked
            work.advance()
        clock["now"] += 40
        work.say("asking")
        work.begin()
        for _ in range(20):
            clock["now"] += 0.5
            work.advance()
        work.rest()
        clock["now"] += 30  # an engine that died is started again
        work.begin()
        for _ in range(20):
            clock["now"] += 0.5
            work.advance()
    assert lines.messages[-1] == "job: 50 of 50 in 20 s, 2.0/s, after 70 s of starting"


def test_quick_work_is_no_line(said):
    lines, _ = said
    with Progress("scoring", 3, quiet=True) as work:
        for name in ("cer", "wer", "bleu"):
            work.say(name)
            work.advance()
    assert lines.messages == []


def test_a_terminal_shows_a_bar_and_lines_stay_whole():
    code = """
import logging, sys, time
from runner.base.progress import Lines, Progress
logging.basicConfig(level=logging.INFO, handlers=[Lines()], format="%(message)s")
with Progress("job", 3) as work:
    work.say("asking")
    for number in range(3):
        time.sleep(0.3)
        work.advance()
        logging.getLogger("x").warning("line %d is whole", number)
"""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env={**os.environ, "COLUMNS": "120"})
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # how Linux says that the other end is closed
    assert process.wait(timeout=patient(30)) == 0
    text = shown.decode()
    assert "job: asking" in text and "2/3" in text and "/s" in text
    for number in range(3):
        (line,) = [line for line in text.replace("\r", "\n").splitlines() if f"line {number} is whole" in line]
        assert line.rstrip().endswith(f"line {number} is whole") and "job" not in line
