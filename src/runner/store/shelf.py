"""One shelf: append-only, shared between processes, never ahead of what is on the disk by more than a second.

- A line is written at once and whole before `append` returns, so it survives the death of this process; a thread brings
  the file to the disk (fsync) every second, and `sync` and `close` do, so that a power cut costs a second at most.
- Writers of several processes take turns through `SHELF.lock`. A write that fails, on a full disk, is taken back; what
  a killed process left half-written is cut off by the next write.
- Everybody who has a shelf open holds a shared lock (flock) on it, so that `gc` rewrites only what nobody uses.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backends.api import EngineSpec, Generation
from runner.store import lines

log = logging.getLogger(__name__)
Conditions = Mapping[str, str]
SYNC_S = 1.0
_BLOCK = 65_536


class StoreFailed(OSError):
    """The store could not be written; it says where, why and what to do."""

    def __str__(self) -> str:
        """Return the words without a number before them."""
        return str(self.strerror)


class Shelf:
    """The generations of one engine identity: an append-only file and an index of it in memory."""

    def __init__(self, path: Path, about: Mapping[str, str] | None = None) -> None:
        """Read the index of `path`; the file and its folder are made when something is appended.

        `about` says for people whose answers these are; it becomes the first line of a new file.
        """
        self.path = path
        self._about = dict(about or {})
        self._generations: dict[tuple[str, str], tuple[int, int]] = {}
        self._newest: dict[str, tuple[int, int]] = {}
        self._measured: dict[tuple[str, str], dict[str, Any]] = {}
        self._turns: int | None = None  # SHELF.lock, while the shelf is open to write
        self._using = threading.RLock()  # a thread looks for answers while the event loop stores others
        self._file: int | None = None
        self._writable = False
        self._indexed: int | None = None  # the inode that the index is of
        self._syncer: _Syncer | None = None
        self._open(to_write=False)

    @classmethod
    def of(cls, store: Path, spec: EngineSpec) -> Shelf:
        """Open the shelf of an engine: one file per model content, quantisation and kind of weights."""
        content = spec.digest or spec.checkpoint
        file = lines.digest([spec.backend, content, spec.quant, spec.weights])[:16]
        about = {name: getattr(spec, name) for name in ("backend", "checkpoint", "quant", "weights")}
        return cls(store / f"{file}.jsonl", about)

    def find(self, key: str, conditions: Conditions | None) -> Generation | None:
        """Return what is stored for `key`: under these conditions, or with None under any (then the newest)."""
        name = None if conditions is None else (key, _name(conditions))
        with self._using:
            self._open(to_write=False)  # after `close`, and perhaps after a gc
            where = self._newest.get(key) if name is None else self._generations.get(name)
            if where is None or self._file is None:
                return None
            line = os.pread(self._file, where[1], where[0])
        return lines.from_json(lines.decode(line)["generation"])

    def append(self, key: str, conditions: Conditions, generation: Generation) -> None:
        """Store a generation; it survives the death of this process once this returns. Raise OSError if it can't be."""
        row = {"key": key, "conditions": dict(conditions), "generation": lines.to_json(generation)}
        with self._using:
            where = self._write(row)
            self._generations[key, _name(conditions)] = self._newest[key] = where

    def measured(self, job: str, conditions: Conditions) -> dict[str, Any] | None:
        """Return what was measured over exactly this job's generations under these conditions."""
        return self._measured.get((job, _name(conditions)))

    def append_measured(self, job: str, conditions: Conditions, measured: Mapping[str, Any]) -> None:
        """Keep what a whole job measured (wall time, peaks), for a rerun that asks nothing anew."""
        with self._using:
            self._write({"job": job, "conditions": dict(conditions), "measured": dict(measured)})
            self._measured[job, _name(conditions)] = dict(measured)

    def latencies(self, conditions: Conditions | None, most: int) -> Iterator[float]:
        """Yield how many seconds the newest answers took, `most` at most, under these conditions (None: under any)."""
        wanted = None if conditions is None else _name(conditions)
        with self._using:
            self._open(to_write=False)
            fitting = [at for (_, under), at in self._generations.items() if wanted is None or under == wanted]
            if self._file is None:
                return
            found = [lines.decode(os.pread(self._file, size, at)) for at, size in sorted(fitting)[-most:]]
        for row in found:
            if (timing := row["generation"].get("timing")) and timing.get("latency_s") is not None:
                yield timing["latency_s"]

    def sync(self) -> None:
        """Bring everything to the disk."""
        if self._syncer is not None:
            self._syncer.sync()

    def close(self) -> None:
        """Bring everything to the disk and let go of the file. What is used afterwards opens it again."""
        try:
            if self._syncer is not None:
                self._syncer.stop()
        finally:
            self._syncer = None
            for file in (self._file, self._turns):
                if file is not None:
                    os.close(file)
            self._file, self._turns, self._writable = None, None, False

    def __enter__(self) -> Self:
        """Return the shelf itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    # ------------------------------------------------------------------------------------------ writing

    def _write(self, row: Mapping[str, Any]) -> tuple[int, int]:
        """Append a row; return offset and length of its line."""
        if self._syncer is not None:
            self._syncer.check()
        line = lines.encode({**row, "at": round(time.time(), 3)})
        try:
            if self._syncer is None:  # the first write since it was opened
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._turn():
                assert self._file is not None
                offset = repair(self._file, self.path)
                if offset == 0 and self._about:
                    offset = _append(self._file, lines.encode({"shelf": self._about}), 0)
                _append(self._file, line, offset)
        except OSError as error:
            raise _explained(error, self.path) from error
        if self._syncer is None:
            self._syncer = _Syncer(self._file, self.path)
        self._syncer.dirty.set()
        return offset, len(line)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Open the file to write, and wait until no other runner writes: each line gets a place of its own.

        Not `filelock`, which opens its file anew each time: 75 us for every answer instead of one.
        """
        self._open(to_write=True)
        if self._turns is None:  # only now: a gc that removes both files waits for who has the shelf open
            self._turns = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._turns, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._turns, fcntl.LOCK_UN)

    def _open(self, *, to_write: bool) -> None:
        """Open the file, if it is there or needed, under a shared lock; read its index if it is not ours yet."""
        if self._file is not None and (self._writable or not to_write):
            return
        opened = _open_shared(self.path, to_write=to_write)
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if opened is None:
            self._forget()
            return
        self._file, self._writable = opened
        inode = os.fstat(self._file).st_ino
        if self._indexed != inode:  # at first, or a gc has rewritten it
            self._forget()
            self._read_index()
            self._indexed = inode

    # ------------------------------------------------------------------------------------------ the index

    def _forget(self) -> None:
        self._generations.clear()
        self._newest.clear()
        self._measured.clear()
        self._indexed = None

    def _read_index(self) -> None:
        damaged = 0
        for offset, line in self._lines():
            try:
                row = lines.decode(line)
            except ValueError:
                damaged += 1
                continue
            if "key" in row:
                conditions = _name(row.get("conditions", {}))
                self._generations[row["key"], conditions] = self._newest[row["key"]] = (offset, len(line))
            elif "job" in row:
                self._measured[row["job"], _name(row.get("conditions", {}))] = row["measured"]
        if damaged:
            log.warning(
                "%s: %d unreadable line(s) skipped; what they held is asked again (python -m runner.store verify)",
                self.path,
                damaged,
            )

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the whole lines with their offsets; a last one without an end may still be in the writing."""
        assert self._file is not None
        offset = 0
        with open(os.dup(self._file), "rb") as file:  # noqa: PTH123  it is open already
            file.seek(0)
            for line in file:
                if line.endswith(b"\n"):
                    yield offset, line
                offset += len(line)


def _name(conditions: Conditions) -> str:
    """Name conditions. Nearly all answers of a shelf share a few: they are named once and held once."""
    return _digest(tuple(sorted(conditions.items())))


@functools.lru_cache(maxsize=64)
def _digest(items: tuple[tuple[str, str], ...]) -> str:
    return lines.digest(dict(items))


class _Syncer:
    """Brings a file to the disk every second, in a thread: a slow disk must not hold up the answers."""

    def __init__(self, file: int | None, path: Path) -> None:
        assert file is not None
        self.dirty = threading.Event()
        self._file, self._path = os.dup(file), path
        self._ended = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="store-sync", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise what went wrong in the thread."""
        if self._error is not None:
            raise _explained(self._error, self._path)

    def sync(self) -> None:
        """Bring the file to the disk now."""
        if self.dirty.is_set():
            self.dirty.clear()
            try:
                os.fsync(self._file)
            except OSError as error:
                raise _explained(error, self._path) from error

    def stop(self) -> None:
        """End the thread, and sync a last time."""
        self._ended.set()
        self._thread.join()
        try:
            self.check()
            self.sync()
        finally:
            os.close(self._file)

    def _run(self) -> None:
        while not self._ended.wait(SYNC_S):
            try:
                self.sync()
            except OSError as error:
                self._error = error
                return


# ---------------------------------------------------------------------------------------------- the file


def _open_shared(path: Path, *, to_write: bool) -> tuple[int, bool] | None:
    """Open a shelf under a shared lock; return it and whether it can be written, None where there is none."""
    while True:
        writable = True
        try:
            file = os.open(path, os.O_RDWR | os.O_APPEND | (os.O_CREAT if to_write else 0), 0o666)
        except FileNotFoundError:
            return None
        except PermissionError:
            if to_write:
                raise
            file, writable = os.open(path, os.O_RDONLY), False
        except OSError as error:
            if to_write or error.errno != errno.EROFS:
                raise
            file, writable = os.open(path, os.O_RDONLY), False
        fcntl.flock(file, fcntl.LOCK_SH)  # waits while a gc works on it
        if is_current(file, path):
            return file, writable
        os.close(file)  # a gc put another file in its place in between


def is_current(file: int, path: Path) -> bool:
    """Whether an open file is still the one that its path names."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), path.stat())
    return False


def repair(file: int, path: Path) -> int:
    """Cut off, or end, what a killed writer left without an end; return the size. Only under the writers' lock."""
    size = os.fstat(file).st_size
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return size
    begin = _last_line(lambda offset: os.pread(file, _BLOCK, offset), size)
    try:
        lines.decode(os.pread(file, size - begin, begin))
    except ValueError:
        os.ftruncate(file, begin)
        log.warning("%s: a half-written last line was cut off (%d bytes); it is asked again", path, size - begin)
        return begin
    return _append(file, b"\n", size)  # nothing but its end was missing


def _last_line(read: Callable[[int], bytes], size: int) -> int:
    """Return where the last line begins."""
    offset = size
    while offset > 0:
        begin = max(0, offset - _BLOCK)
        found = read(begin)[: offset - begin].rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        offset = begin
    return 0


def _append(file: int, content: bytes, size: int) -> int:
    """Write all of `content` at the end, or nothing of it; return the new size."""
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(file, left) :]
    except BaseException:
        os.ftruncate(file, size)
        raise
    return size + len(content)


def _explained(error: OSError, path: Path) -> StoreFailed:
    """Say what the failure means for the job."""
    return StoreFailed(
        error.errno,
        f"{path}: the store can't be written: {error.strerror or error}. What was answered before is kept; make room "
        "or choose another folder with RUNNER_STORE, then start the same command",
    )
