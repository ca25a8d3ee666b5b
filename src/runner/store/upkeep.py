"""Surveys, checks and cleans up a store: the functions behind `python -m runner.store`."""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from runner.store import lines
from runner.store.shelf import is_current

LOGS_KEPT_S = 24 * 3600.0  # age at which logs of ended engines are removed; the jobs' folders have copies


@dataclass(slots=True)
class Survey:
    """The content of one shelf. Times are Unix time; `damaged` has the number and the fault of each unreadable line."""

    path: Path
    about: Mapping[str, str] = field(default_factory=dict)
    answers: int = 0
    conditions: int = 0
    superseded: int = 0
    damaged: list[tuple[int, str]] = field(default_factory=list)
    half_written: int = 0  # bytes behind the last whole line
    oldest: float | None = None
    newest: float | None = None
    bytes: int = 0
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """What a gc removed, or would remove, from one file. `problem` says why it removed nothing."""

    path: Path
    what: str
    bytes: int
    problem: str = ""


def shelves(store: Path) -> list[Path]:
    """Return the files of a store's shelves."""
    return sorted(store.glob("*.jsonl"))


def survey(path: Path) -> Survey:
    """Read a whole shelf, and count what it contains."""
    result = Survey(path, bytes=path.stat().st_size, in_use=_in_use(path))
    names: Counter[tuple[str, ...]] = Counter()
    conditions = set()
    for number, line, row in _rows(path):
        if not line.endswith(b"\n"):
            result.half_written = len(line)
            continue
        problem = row if isinstance(row, str) else _problem(row)
        if problem:
            result.damaged.append((number, problem))
            continue
        assert not isinstance(row, str)
        if "shelf" in row:
            result.about = row["shelf"]
            continue
        names[lines.name(row)] += 1
        if "key" in row:
            conditions.add(lines.name(row)[2])
        if (at := lines.written_at(row)) is not None:
            result.oldest = at if result.oldest is None else min(at, result.oldest)
            result.newest = at if result.newest is None else max(at, result.newest)
    result.answers = sum(name[0] == "key" for name in names)
    result.conditions = len(conditions)
    result.superseded = sum(names.values()) - len(names)
    return result


def collect(store: Path, older_than_s: float | None, *, dry_run: bool) -> Iterator[Collected]:
    """Remove superseded, unreadable and too old lines from every shelf, and the logs of engines that ended."""
    before = None if older_than_s is None else time.time() - older_than_s
    for path in shelves(store):
        yield from _collect_shelf(path, before, dry_run=dry_run)
    yield from _collect_logs(store / "logs", LOGS_KEPT_S if older_than_s is None else older_than_s, dry_run=dry_run)


def _collect_shelf(path: Path, before: float | None, *, dry_run: bool) -> Iterator[Collected]:
    file = os.open(path, os.O_RDONLY if dry_run else os.O_RDWR)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Collected(path, "in use", 0, "a job has it open; run gc again when it has ended")
            return
        if not is_current(file, path):
            return  # another gc replaced the file in the meantime
        staying, gone = _split_lines(path, before)
        size = path.stat().st_size
        left = sum(map(len, staying))
        if left == size:
            return
        if not dry_run:
            if any(b'"shelf"' not in line[:10] for line in staying):
                _replace(path, staying)
            else:
                path.unlink()
                Path(f"{path}.lock").unlink(missing_ok=True)
                left = 0
        removed = ", ".join(f"{count} {reason}" for reason, count in gone.items() if count)
        yield Collected(path, removed, size - left)
    finally:
        os.close(file)


def _split_lines(path: Path, before: float | None) -> tuple[list[bytes], dict[str, int]]:
    """Return the lines that stay, in their order, and the number of lines to remove for each reason."""
    newest: dict[tuple[str, ...], int] = {}
    gone = {"unreadable": 0, "superseded": 0, "too old": 0}
    rows: list[tuple[int, tuple[str, ...], float]] = []
    modified = path.stat().st_mtime
    for number, line, row in _rows(path):
        if isinstance(row, str) or not line.endswith(b"\n") or _problem(row):
            gone["unreadable"] += 1
            continue
        newest[lines.name(row)] = number
        at = lines.written_at(row) if "shelf" not in row else float("inf")
        rows.append((number, lines.name(row), modified if at is None else at))
    staying = set()
    for number, name, at in rows:
        if newest[name] != number:
            gone["superseded"] += 1
        elif before is not None and at < before:
            gone["too old"] += 1
        else:
            staying.add(number)
    with path.open("rb") as file:
        return [line for number, line in enumerate(file, 1) if number in staying], gone


def _replace(path: Path, staying: list[bytes]) -> None:
    """Replace a shelf by a new file atomically, so that a crash leaves either the old file or the new one."""
    new = path.with_suffix(".jsonl.new")
    with new.open("wb") as file:
        os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
        file.writelines(staying)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _collect_logs(folder: Path, older_than_s: float, *, dry_run: bool) -> Iterator[Collected]:
    """Remove the logs of engines whose runner has ended. A log is STORE/logs/<engine>-<pid of the runner>.log."""
    for path in sorted(folder.glob("*.log")):
        pid = path.stem.rpartition("-")[2]
        status = path.stat()
        if time.time() - status.st_mtime < older_than_s or (pid.isdigit() and psutil.pid_exists(int(pid))):
            continue
        if not dry_run:
            with suppress(FileNotFoundError):
                path.unlink()
        yield Collected(path, "log of an engine that ended", status.st_size)


def _rows(path: Path) -> Iterator[tuple[int, bytes, dict[str, Any] | str]]:
    """Yield number, bytes and row of each line. A damaged line has the description of its fault in place of a row."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, line, lines.decode(line)
            except ValueError as error:
                yield number, line, str(error)


def _problem(row: Mapping[str, Any]) -> str:
    """Return why a row can't be used; an empty text if it can."""
    try:
        if "key" in row:
            lines.from_json(row["generation"])
        elif "job" in row:
            dict(row["measured"])
    except (KeyError, TypeError, ValueError) as error:
        return f"it can't be used: {type(error).__name__}: {error}"
    return ""


def _in_use(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
