"""`python -m runner.store`: ls, verify, gc."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends.api import EngineSpec, Generation, Timing
from runner.store import Shelf
from runner.store.command import seconds
from tests.patience import patient

HERE, ELSEWHERE = {"gpu": "none"}, {"gpu": "H200"}
SPEC = EngineSpec("hf", "models/card-reader", digest="d", quant="w4a16")
DAY = 86_400


def generation(key: str, text: str = "Петров", age_days: float = 0) -> Generation:
    return Generation(key, text, None, timing=Timing(sent_at=time.time() - age_days * DAY, latency_s=0.5))


def tool(store: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "runner.store", *arguments]
    environment = {**os.environ, "RUNNER_STORE": str(store), "COLUMNS": "200"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=patient(60))
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Shelf.of(tmp_path / "store", SPEC) as shelf:
        for key in "abc":
            shelf.append(key, HERE, generation(key))
        shelf.append("a", ELSEWHERE, generation("a", "elsewhere"))
        shelf.append("a", HERE, generation("a", "newer"))
        shelf.append_measured("job", HERE, {"wall_s": 1.0})
    return tmp_path / "store"


def aged(shelf: Path, keys: set[str], days: float) -> None:
    """Make lines look as if they had been written earlier."""
    lines = []
    for line in shelf.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("key") in keys:
            row["at"] -= days * DAY
            del row["crc"]
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    shelf.write_text("".join(lines), encoding="utf-8")


def only(store: Path) -> Path:
    (shelf,) = store.glob("*.jsonl")
    return shelf


def test_ls_says_whose_answers_there_are(store: Path):
    code, out = tool(store, "ls")
    assert code == 0
    for words in ("models/card-reader", "w4a16", "hf", time.strftime("%Y-%m-%d"), "4 answers"):
        assert words in out
    with Shelf.of(store, SPEC) as used:
        used.append("z", HERE, generation("z"))
        assert "a job has it open" in tool(store, "ls")[1]


def test_verify_finds_what_was_changed(store: Path):
    assert tool(store, "verify")[0] == 0
    shelf = only(store)
    shelf.write_bytes(shelf.read_bytes().replace(b"newer", b"older") + b'{"key": "half')
    code, out = tool(store, "verify")
    assert code == 1
    assert "line 6" in out and "checksum" in out and "half-written" in out and "1 lines are damaged" in out


def test_gc_drops_what_nobody_would_read_and_nothing_else(store: Path):
    shelf = only(store)
    shelf.write_bytes(b"garbage\n" + shelf.read_bytes())
    before = shelf.read_bytes()
    code, out = tool(store, "gc", "--dry-run")
    assert code == 0 and "would be freed" in out and "1 unreadable" in out and "1 superseded" in out
    assert shelf.read_bytes() == before
    assert tool(store, "gc")[0] == 0
    again = Shelf(shelf)
    texts = {key: again.find(key, HERE).text for key in "abc"}
    assert texts == {"a": "newer", "b": "Петров", "c": "Петров"}
    assert again.find("a", ELSEWHERE).text == "elsewhere" and again.measured("job", HERE) == {"wall_s": 1.0}
    assert tool(store, "verify")[0] == 0
    assert "0 B freed" in tool(store, "gc")[1]
    assert "card-reader" in tool(store, "ls")[1], "it still says whose they are"


def test_gc_by_age_is_how_personal_data_goes(store: Path):
    shelf = only(store)
    aged(shelf, {"b", "c"}, 100)
    assert "2 too old" in tool(store, "gc", "--older-than", "90d")[1]
    with Shelf(shelf) as again:
        assert again.find("a", HERE) and again.find("b", HERE) is None
    assert "Петров" not in shelf.read_text(encoding="utf-8")
    assert tool(store, "gc", "--older-than", "0s")[0] == 0
    assert list(store.glob("*")) == [], "what is empty goes wholly"


def test_gc_leaves_what_a_job_uses(store: Path):
    with Shelf.of(store, SPEC) as used:
        assert used.find("a", HERE)
        code, out = tool(store, "gc", "--older-than", "0s")
        assert code == 0 and "stays: a job has it open" in out
    assert Shelf(only(store)).find("a", HERE)


def test_gc_takes_logs_whose_runner_ended(store: Path):
    logs = store / "logs"
    logs.mkdir()
    for name in ("new-999999999.log", "old-999999999.log", f"old-{os.getpid()}.log"):
        (logs / name).write_text("output of an engine")
        if name.startswith("old"):
            os.utime(logs / name, (time.time() - 2 * DAY,) * 2)
    tool(store, "gc")
    assert {path.name for path in logs.iterdir()} == {"new-999999999.log", f"old-{os.getpid()}.log"}


@pytest.mark.parametrize(("text", "expected"), [("90d", 90 * DAY), ("1.5h", 5400), ("10s", 10), ("2w", 14 * DAY)])
def test_durations(text: str, expected: float):
    assert seconds(text) == expected


def test_a_wrong_duration_or_folder_is_said(tmp_path: Path):
    code, out = tool(tmp_path, "gc", "--older-than", "soon")
    assert code == 2 and "'soon' is no duration" in out
    assert tool(tmp_path, "ls", "--store", str(tmp_path / "nothing")) == (
        1,
        f"{tmp_path / 'nothing'}: there is no store yet\n",
    )
