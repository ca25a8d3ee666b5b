"""Several processes on one shelf, some of them killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from runner.store import Shelf
from tests.patience import patient

# Appends until it is killed or has written all; says each key behind its append, as an answer that was received.
WRITER = """
import sys
from pathlib import Path
from backends.api import Generation
from runner.store import Shelf
name, count, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
with Shelf(path) as shelf:
    for number in range(count):
        key = f"{name}{number}"
        shelf.append(key, {"gpu": "none"}, Generation(key, key * 500, None))
        print(key, flush=True)
"""
HERE = {"gpu": "none"}


def writer(name: str, count: int, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, name, str(count), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_do_not_harm_each_other_and_a_killed_one_neither(tmp_path: Path):
    path = tmp_path / "store" / "shelf.jsonl"
    steady = [writer(name, 150, path) for name in "abc"]
    victim = writer("killed", 1_000_000, path)
    assert victim.stdout is not None
    received = [victim.stdout.readline().strip() for _ in range(40)]
    os.kill(victim.pid, signal.SIGKILL)
    received += victim.stdout.read().split()
    for process in steady:
        out, _ = process.communicate(timeout=patient(60))
        assert process.returncode == 0
        received += out.split()
    assert len(received) >= 3 * 150 + 40
    shelf = Shelf(path)
    for key in received:
        found = shelf.find(key, HERE)
        assert found is not None and found.text == key * 500, key


def test_a_writer_that_others_replaced_the_file_of_finds_its_answers_anew(tmp_path: Path):
    """As a gc between two uses of a closed shelf does."""
    shelf = Shelf(tmp_path / "shelf.jsonl")
    for number in range(20):
        process = writer(f"k{number}", 1, shelf.path) if number % 10 == 0 else None
        if process is not None:
            process.communicate(timeout=patient(30))
    shelf.close()
    lines = shelf.path.read_bytes().splitlines(keepends=True)
    other = tmp_path / "other"
    other.write_bytes(lines[-1])
    other.replace(shelf.path)
    time.sleep(0.01)
    assert shelf.find("k00", HERE) is None
    found = shelf.find("k100", HERE)
    assert found is not None and found.text == "k100" * 500
