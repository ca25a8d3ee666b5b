"""Reads what jobs left, for tests that break them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.patience import patient

# The echo backend serves no model: checkpoint and dataset are real, the engine repeats the question.
ECHO = ("backend.name=echo", "dataset.limit=8", "metrics=[exact_match,cer]", "warmup=0")
# A second an answer: so a test that strikes after the third has five seconds left, on a busy machine too.
SLOWLY = "+backend.engine_args.delay_s=1"


def jobs(folder: Path) -> list[dict[str, Any]]:
    """Return the jobs below a folder that have ended, in this order, with `folder` and `rows`."""
    paths = [path for path in folder.rglob("metrics.json") if path.parent.name != "artifacts"]  # not MLflow's copies
    found = [json.loads(path.read_text()) | {"folder": path.parent} for path in paths]
    found = [job for job in found if job["finished_at"] is not None]  # killed with -9: never ended
    for job in found:
        lines = (job["folder"] / "answers.jsonl").read_text(encoding="utf-8").splitlines()
        job["rows"] = [json.loads(line) for line in lines]
    return sorted(found, key=lambda job: job["finished_at"])


def last(folder: Path) -> dict[str, Any]:
    """Return the job that ended last."""
    return jobs(folder)[-1]


def stored(store: Path) -> list[tuple[str, str]]:
    """Return key and text of every answer in a store, as they lie there."""
    found = []
    for shelf in store.glob("*.jsonl"):
        for line in shelf.read_bytes().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # half-written
            if "key" in row:
                found.append((row["key"], row["generation"]["text"]))
    return found


def wait_for(what: Callable[[], Any], within_s: float = 60) -> Any:
    """Return the first true value of `what`."""
    deadline = time.monotonic() + patient(within_s)
    while True:
        if value := what():
            return value
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def processes(store: Path) -> list[psutil.Process]:
    """Return the processes of a test: those that were given its store."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RUNNER_STORE") == str(store):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def engines(store: Path) -> list[psutil.Process]:
    """Return the echo engines of a test."""
    found = []
    for process in processes(store):
        try:
            if "echo_engine.server" in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def nothing_left(store: Path) -> bool:
    """Wait for the end of all processes of a test."""
    wait_for(lambda: not processes(store), 20)
    return True
