"""Engines that are killed, hang, or run out of memory."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import CommandLine
from tests.faults.results import ECHO, SLOWLY, engines, last, nothing_left, stored, wait_for
from tests.patience import patient


def test_an_engine_killed_with_9_is_started_again_and_nothing_is_lost(cli: CommandLine):
    store = cli.folder / "store"
    process = cli.start(*ECHO, "tracking=none", SLOWLY, "backend.max_restarts=1")
    wait_for(lambda: len(stored(store)) >= 3)
    (engine,) = engines(store)
    engine.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=patient(60))
    assert process.returncode == 0, output
    job = last(cli.folder)
    assert job["metrics"]["engine/starts"] == 2 and job["metrics"]["samples/failed"] == 0
    assert [row["sample_id"] for row in job["rows"]] == [str(number) for number in range(8)]
    assert len({key for key, _ in stored(store)}) == len(stored(store)) == 8, "nothing was asked twice and stored twice"
    (note,) = [note for note in job["notes"] if "started again" in note]
    assert "SIGKILL" in note
    assert nothing_left(store)


def test_an_engine_that_hangs_is_ended_and_started_again(cli: CommandLine):
    job = (*ECHO, "tracking=none", "+backend.engine_args.hang_after=5", "backend.request_timeout_s=1", "concurrency=2")
    ended = cli(*job, "backend.max_restarts=1", "backend.retries=2")
    assert ended.code == 0, ended.err
    found = last(cli.folder)
    assert found["metrics"]["samples/failed"] == 0 and found["metrics"]["engine/starts"] == 2
    assert len(found["rows"]) == 8
    assert any("hung" in note and "request_timeout_s" in note for note in found["notes"])
    assert nothing_left(cli.folder / "store")
    ended = cli(*job, "backend.max_restarts=0", "reuse=never")
    assert ended.code == 1 and "the engine hung" in ended.out
    assert len(last(cli.folder)["rows"]) == 5, "what was answered until then is kept"


def test_a_slow_question_is_no_hang(cli: CommandLine):
    """One question takes longer than it may, but the engine answers others: that question fails, and no more."""
    slow = (*ECHO, "tracking=none", "+backend.engine_args.slow_on=Имя", "backend.retries=0", "backend.max_restarts=0")
    ended = cli(*slow, "backend.request_timeout_s=1")
    assert ended.code == 0, ended.err
    kinds = [row["error"]["kind"] for row in last(cli.folder)["rows"] if row["error"]]
    assert kinds and set(kinds) == {"timeout"} and len(kinds) < 4


@pytest.fixture
def scans(tmp_path: Path) -> Callable[[], str]:
    """Pictures of which the third is too large for the engine's memory."""

    def make() -> str:
        for number in range(4):
            Image.new("RGB", (400, 300) if number == 2 else (100, 100), (number, 0, 0)).save(tmp_path / f"{number}.png")
        rows = "".join(f'{{"id": "{n}", "images": ["{n}.png"], "question": "q{n}"}}\n' for n in range(4))
        (tmp_path / "rows.jsonl").write_text(rows)
        return str(tmp_path / "rows.jsonl")

    return make


def test_memory_that_runs_out_at_one_sample_concerns_that_sample(cli: CommandLine, scans: Callable[[], str]):
    record = cli.folder / "asked"
    base = ("backend.name=echo", "tracking=none", "dataset=jsonl", f"dataset.path={scans()}", "metrics=[]", "warmup=0")
    job = (*base, "+backend.engine_args.memory=40000", f"+backend.engine_args.record={record}")
    ended = cli(*job)
    assert ended.code == 0, ended.err
    failed = {row["sample_id"]: row["error"]["kind"] for row in last(cli.folder)["rows"] if row["error"]}
    assert failed == {"2": "out_of_memory"}, "the default says so, and lowers nothing"
    assert len(record.read_text().splitlines()) == 4
    ended = cli(*job, "backend.oom_policy=reduce_pixels")
    assert ended.code == 0, ended.err
    found = last(cli.folder)
    assert {row["sample_id"]: row["lowered_max_pixels"] for row in found["rows"]} == {
        "0": None, "1": None, "2": 30_000, "3": None
    }  # fmt: skip
    assert found["metrics"]["samples/failed"] == 0
    assert any("1 answers were read at fewer pixels" in note for note in found["notes"])
    assert len(record.read_text().splitlines()) == 4 + 3, "at 120,000, 60,000 and 30,000 pixels; the others are stored"
    ended = cli(*job, "backend.oom_policy=reduce_pixels")
    assert len(record.read_text().splitlines()) == 4 + 3 + 2, "tried with more again; the last is stored"
    assert last(cli.folder)["rows"][2]["text"] == "q2"
    ended = cli(*base, "+backend.engine_args.memory=100", "backend.oom_policy=reduce_pixels", "max_failed=null")
    assert ended.code == 1 and "all 4 answers failed" in ended.out, "an eighth is the least"


def test_who_can_not_be_told_pixels_is_refused(cli: CommandLine):
    endpoint = (
        "model=openai",
        "model.name=x",
        "backend.api_key_variable=null",
        "backend.base_url=http://127.0.0.1:9/v1",
    )
    ended = cli(*endpoint, "tracking=none", "backend.oom_policy=reduce_pixels")
    assert ended.code == 2 and "backend.oom_policy" in ended.err
