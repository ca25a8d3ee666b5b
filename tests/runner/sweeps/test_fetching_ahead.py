"""Checkpoints of a hub in sweeps: the next one is fetched while answers are timed, and what can't be had is refused."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.planning import hub
from tests.conftest import CommandLine
from tests.local_hub import LocalHub, Repository
from tests.patience import patient

SWEEP = (
    "-m",
    "backend.name=echo",
    "tracking=none",
    "metrics=[exact_match]",
    "dataset.limit=8",
    "pool.fetch_ahead=true",
)
WEIGHTS = "model.safetensors"


def repository(number: int, size: int = 100) -> Repository:
    return Repository({"config.json": b'{"model_type": "%d"}' % number, WEIGHTS: bytes([number]) * size})


@pytest.fixture
def models(cli: CommandLine) -> Iterator[LocalHub]:
    """The hub that the command line asks; its cache is empty."""
    with LocalHub({f"owner/{number}": repository(number) for number in range(3)}) as started:
        cli.environment |= {"HF_ENDPOINT": started.url, "HF_HUB_OFFLINE": "0"}
        cli.environment.pop("HF_TOKEN", None)
        yield started


def jobs(folder: Path) -> list[dict[str, Any]]:
    """Return what the jobs left, in the order in which they ended, with the times of their answers."""
    found = []
    for path in (folder / "multirun").rglob("metrics.json"):
        lines = (path.parent / "answers.jsonl").read_text(encoding="utf-8").splitlines()
        timings = [json.loads(line)["timing"] for line in lines]
        first = min((one["sent_at"] for one in timings), default=0)
        last = max((one["sent_at"] + one["latency_s"] for one in timings), default=0)
        found.append(json.loads(path.read_text(encoding="utf-8")) | {"first": first, "last": last})
    return sorted(found, key=lambda one: one["finished_at"] or math.inf)


def cached(cli: CommandLine, name: str) -> bool:
    snapshots = cli.folder / "hub" / "hub" / f"models--{name.replace('/', '--')}" / "snapshots"
    return any(not hub.lacking(one) for one in snapshots.glob("*"))


def test_the_next_checkpoint_is_fetched_while_the_engine_before_answers(cli: CommandLine, models: LocalHub):
    models.models["owner/1"], models.bytes_per_s = repository(1, 100_000), 200_000
    # Eight answers of two seconds: on a slow machine a fiftieth of the cores takes seconds to begin.
    ended = cli(*SWEEP, "model.path=owner/0,owner/1", "+backend.engine_args.delay_s=2")
    assert ended.code == 0, ended.err
    first, second = jobs(cli.folder)
    (transfer,) = models.fetched(WEIGHTS)[1:]
    assert "/owner/1/" in transfer.path
    assert first["started_at"] < transfer.at
    assert first["first"] < transfer.until < first["last"] < second["first"]
    told = re.search(r"the checkpoint of the next engine, owner/1 \(.*\), was fetched from (\S+) to (\S+)", ended.err)
    assert told is not None
    at, last = (time.strftime("%H:%M:%S", time.localtime(at)) for at in (first["started_at"], first["last"]))
    assert at <= told[1] <= told[2] <= last, "the log says when"
    assert any("the checkpoint of the next engine, owner/1" in note for note in first["notes"])
    assert not any("checkpoint" in note for note in second["notes"])
    assert cached(cli, "owner/0") and cached(cli, "owner/1")


def test_a_job_waits_for_the_rest_of_its_checkpoint(cli: CommandLine, models: LocalHub):
    models.models["owner/1"].goes_on = threading.Event()
    process = cli.start(*SWEEP, "dataset.limit=2", "model.path=owner/0,owner/1")
    deadline = time.monotonic() + patient(60)
    while not any(job["finished_at"] for job in jobs(cli.folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    (first,) = jobs(cli.folder)
    assert "while it answered, the checkpoint of the next engine was being fetched" in first["notes"]
    assert len(models.fetched(WEIGHTS)) == 2 and not models.fetched(WEIGHTS)[1].until
    models.models["owner/1"].goes_on.set()
    told, _ = process.communicate(timeout=patient(60))
    assert process.returncode == 0, told
    assert [one.path.split("/")[2] for one in models.fetched(WEIGHTS)] == ["0", "1"], "each once"
    assert models.fetched(WEIGHTS)[1].until < jobs(cli.folder)[1]["first"]


def test_nothing_is_fetched_ahead_where_it_is_switched_off_or_answers_are_stored(cli: CommandLine, models: LocalHub):
    ended = cli(*SWEEP, "dataset.limit=2", "model.path=owner/0,owner/1", "pool.fetch_ahead=false")
    assert ended.code == 0 and "meanwhile" not in ended.err, ended.err
    first, second = jobs(cli.folder)
    assert first["last"] < models.fetched(WEIGHTS)[1].at < second["first"], "but before its own engine's start"
    for path in (cli.folder / "hub").rglob(WEIGHTS):
        path.unlink()
    ended = cli(*SWEEP, "dataset.limit=2", "model.path=owner/2,owner/1")
    assert ended.code == 0 and "meanwhile" not in ended.err, ended.err
    assert [one.path.split("/")[2] for one in models.fetched(WEIGHTS)] == ["0", "1", "2"]


def test_a_checkpoint_that_can_not_be_fetched_fails_its_own_job(cli: CommandLine, models: LocalHub):
    models.models["owner/1"].is_broken = True
    ended = cli(*SWEEP, "dataset.limit=2", "model.path=owner/0,owner/1")
    assert ended.code == 1, ended.err
    first, second = jobs(cli.folder)
    assert (first["status"], second["status"]) == ("finished", "failed")
    assert "owner/1" in second["error"] and "could not be fetched" in second["error"]


def test_all_models_that_can_not_be_had_are_refused_at_once(cli: CommandLine, models: LocalHub):
    models.models["owner/1"].is_gated = True
    paths = "model.path=owner/0,owner/1,owner/nothing"
    ended = cli(*SWEEP, paths)
    assert ended.code == 2
    assert "owner/1 is gated" in ended.err and "no model owner/nothing" in ended.err
    cli.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
    ended = cli(*SWEEP, paths)
    assert ended.code == 2
    for name in ("owner/0", "owner/1", "owner/nothing"):
        assert f"{name} is not in the cache and the hub can't be reached (http://127.0.0.1:9: " in ended.err
    assert not (cli.folder / "multirun").exists() and not models.fetched(WEIGHTS)


def test_a_fetch_is_not_left_behind(cli: CommandLine, models: LocalHub):
    models.models["owner/1"] = repository(1, 50_000_000)
    models.bytes_per_s = 5_000_000
    process = cli.start(*SWEEP, "model.path=owner/0,owner/1", "+backend.engine_args.delay_s=1")
    deadline = time.monotonic() + patient(60)
    while len(models.fetched(WEIGHTS)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=patient(60))
    transfer = models.fetched(WEIGHTS)[1]
    while not transfer.until and time.monotonic() < deadline:
        time.sleep(0.05)
    assert transfer.until, "nobody receives it any more"
    assert not cached(cli, "owner/1")
