"""One shelf: an append-only file that several processes share, and that is synced to the disk every second.

- `append` returns after the whole line is written, so the line survives the death of this process. A thread calls fsync
  every second, as do `sync` and `close`, so a power cut loses the answers of one second at most.
- Writers of several processes take turns by a lock on `SHELF.lock`. A write that fails, because the disk is full, is
  undone. The next write cuts off a half-written line that a killed process left.
- Every process that has a shelf open holds a shared lock (flock) on it, so `gc` rewrites only shelves not in use.
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
    """The store could not be written. The message says where, why and what to do."""

    def __str__(self) -> str:
        """Return the message without the errno that OSError puts before it."""
        return str(self.strerror)


class Shelf:
    """The generations of one engine identity: an append-only file and an index of it in memory."""

    def __init__(self, path: Path, about: Mapping[str, str] | None = None) -> None:
        """Read the index of `path`. The file and its folder are created by the first `append`.

        `about` describes the engine for people; it becomes the first line of a new file.
        """
        self.path = path
        self._about = dict(about or {})
        self._generations: dict[tuple[str, str], tuple[int, int]] = {}
        self._newest: dict[str, tuple[int, int]] = {}
        self._measured: dict[tuple[str, str], dict[str, Any]] = {}
        self._turns: int | None = None  # file descriptor of SHELF.lock, while the shelf is open for writing
        self._using = threading.RLock()  # a thread looks up answers while the event loop stores others
        self._file: int | None = None
        self._writable = False
        self._indexed: int | None = None  # the inode of the file that the index was read from
        self._syncer: _Syncer | None = None
        self._open(to_write=False)

    @classmethod
    def of(cls, store: Path, spec: EngineSpec) -> Shelf:
        """Open the shelf of an engine: one file for each backend, model content, quantisation and kind of weights."""
        content = spec.digest or spec.checkpoint
        file = lines.digest([spec.backend, content, spec.quant, spec.weights])[:16]
        about = {name: getattr(spec, name) for name in ("backend", "checkpoint", "quant", "weights")}
        return cls(store / f"{file}.jsonl", about)

    def find(self, key: str, conditions: Conditions | None) -> Generation | None:
        """Return the generation stored for `key` under these conditions; with None, the newest under any."""
        name = None if conditions is None else (key, _name(conditions))
        with self._using:
            self._open(to_write=False)  # the shelf may have been closed, and a gc may have rewritten it since
            where = self._newest.get(key) if name is None else self._generations.get(name)
            if where is None or self._file is None:
                return None
            line = os.pread(self._file, where[1], where[0])
        return lines.from_json(lines.decode(line)["generation"])

    def append(self, key: str, conditions: Conditions, generation: Generation) -> None:
        """Store a generation. It survives the death of this process once this returns. Raise OSError on failure."""
        row = {"key": key, "conditions": dict(conditions), "generation": lines.to_json(generation)}
        with self._using:
            where = self._write(row)
            self._generations[key, _name(conditions)] = self._newest[key] = where

    def measured(self, job: str, conditions: Conditions) -> dict[str, Any] | None:
        """Return the measurements of a whole job under these conditions; None if there are none."""
        return self._measured.get((job, _name(conditions)))

    def append_measured(self, job: str, conditions: Conditions, measured: Mapping[str, Any]) -> None:
        """Store the measurements of a whole job (wall time, peaks), for a rerun that needs no engine."""
        with self._using:
            self._write({"job": job, "conditions": dict(conditions), "measured": dict(measured)})
            self._measured[job, _name(conditions)] = dict(measured)

    def latencies(self, conditions: Conditions | None, most: int) -> Iterator[float]:
        """Yield the latency in seconds of the newest `most` answers under these conditions (None: under any)."""
        for generation in self.newest(conditions, most):
            if (timing := generation.get("timing")) and timing.get("latency_s") is not None:
                yield timing["latency_s"]

    def newest(self, conditions: Conditions | None, most: int) -> Iterator[Mapping[str, Any]]:
        """Yield the newest `most` answers under these conditions (None: under any), as `to_json` wrote them."""
        name = None if conditions is None else _name(conditions)
        with self._using:
            self._open(to_write=False)
            places = [place for (_, under), place in self._generations.items() if name is None or under == name]
            if self._file is None:
                return
            rows = [lines.decode(os.pread(self._file, size, at)) for at, size in sorted(places)[-most:]]
        for row in rows:
            yield row["generation"]

    def sync(self) -> None:
        """Write everything to the disk (fsync)."""
        if self._syncer is not None:
            self._syncer.sync()

    def close(self) -> None:
        """Write everything to the disk and close the file. A later call opens it again."""
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
        """Append a row. Return the offset and the length of its line."""
        if self._syncer is not None:
            self._syncer.check()
        line = lines.encode({**row, "at": round(time.time(), 3)})
        try:
            if self._syncer is None:  # the first write since the shelf was opened
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
        """Open the file for writing, and wait until no other process writes, so that lines do not overlap.

        The package `filelock` opens its lock file each time, which takes 75 us for every answer; this takes 1 us.
        """
        self._open(to_write=True)
        # Only after _open: a gc removes the lock file only while no process has the shelf open.
        if self._turns is None:
            self._turns = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._turns, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._turns, fcntl.LOCK_UN)

    def _open(self, *, to_write: bool) -> None:
        """Open the file under a shared lock, if it exists or is needed. Read its index if it is another file."""
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
        if self._indexed != inode:  # the file is opened for the first time, or a gc has replaced it
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
                "%s: %d unreadable line(s) skipped; their questions are asked again (python -m runner.store verify)",
                self.path,
                damaged,
            )

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield complete lines with their offsets. A last line without a newline may still be being written."""
        assert self._file is not None
        offset = 0
        with open(os.dup(self._file), "rb") as file:  # noqa: PTH123  the file is open already
            file.seek(0)
            for line in file:
                if line.endswith(b"\n"):
                    yield offset, line
                offset += len(line)


def _name(conditions: Conditions) -> str:
    """Return a hash of conditions. It is cached, because nearly all answers of a shelf share a few conditions."""
    return _digest(tuple(sorted(conditions.items())))


@functools.lru_cache(maxsize=64)
def _digest(items: tuple[tuple[str, str], ...]) -> str:
    return lines.digest(dict(items))


class _Syncer:
    """Calls fsync on a file every second, in a thread, so that a slow disk does not delay the answers."""

    def __init__(self, file: int | None, path: Path) -> None:
        assert file is not None
        self.dirty = threading.Event()
        self._file, self._path = os.dup(file), path
        self._ended = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="store-sync", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error that occurred in the thread, if any."""
        if self._error is not None:
            raise _explained(self._error, self._path)

    def sync(self) -> None:
        """Write the file to the disk now."""
        if self.dirty.is_set():
            self.dirty.clear()
            try:
                os.fsync(self._file)
            except OSError as error:
                raise _explained(error, self._path) from error

    def stop(self) -> None:
        """End the thread, and write the file to the disk a last time."""
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
    """Open a shelf under a shared lock. Return its file and whether it is writable; None if it does not exist."""
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
        fcntl.flock(file, fcntl.LOCK_SH)  # waits while a gc rewrites the shelf
        if is_current(file, path):
            return file, writable
        os.close(file)  # a gc replaced the file between opening and locking it


def is_current(file: int, path: Path) -> bool:
    """Return whether an open file is still the file at its path."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), path.stat())
    return False


def repair(file: int, path: Path) -> int:
    """Complete or cut off a last line without a newline, which a killed writer left. Return the file's size.

    The caller holds the writers' lock.
    """
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
    return _append(file, b"\n", size)  # only the newline was missing


def _last_line(read: Callable[[int], bytes], size: int) -> int:
    """Return the offset at which the last line begins. `read` returns the bytes from an offset on."""
    offset = size
    while offset > 0:
        begin = max(0, offset - _BLOCK)
        newline = read(begin)[: offset - begin].rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        offset = begin
    return 0


def _append(file: int, content: bytes, size: int) -> int:
    """Write all of `content` at the end, or nothing of it. Return the new size."""
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(file, left) :]
    except BaseException:
        os.ftruncate(file, size)
        raise
    return size + len(content)


def _explained(error: OSError, path: Path) -> StoreFailed:
    """Return the error with a message that says what the failure means and what to do."""
    return StoreFailed(
        error.errno,
        f"{path}: the store can't be written: {error.strerror or error}. What was answered before is kept; make room "
        "or choose another folder with RUNNER_STORE, then start the same command",
    )
