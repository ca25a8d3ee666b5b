"""The store of generations: what was asked once need not be asked again, and nothing received is lost.

One JSONL file per engine identity under `$RUNNER_STORE` (default multirun/.store). A line is one generation:
`{"key": "9f…", "conditions": {"gpu": "none", "concurrency": "1", …}, "generation": {…}}`, or what a whole job measured:
`{"job": "4c…", "conditions": {…}, "measured": {"wall_s": 7.1, …}}`.

A *key* is what decides the text; *conditions* are what decides its timing. Lines are only ever appended, each with one
write, so a killed process leaves at most a torn last line, which is skipped, and ended by the next write.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from backends.api import EngineSpec, Failure, Generation, Timing

log = logging.getLogger(__name__)
Conditions = Mapping[str, str]


def digest(value: Any) -> str:
    """Name a JSON value by its content."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def to_json(generation: Generation) -> dict[str, Any]:
    """Return every field of a generation as JSON values."""
    return dataclasses.asdict(generation)


def from_json(row: Mapping[str, Any]) -> Generation:
    """Turn the output of `to_json` back into a generation."""
    known = {field.name for field in dataclasses.fields(Generation)}
    values = {name: value for name, value in row.items() if name in known}
    values["error"] = Failure(**row["error"]) if row.get("error") else None
    values["timing"] = Timing(**row["timing"]) if row.get("timing") else None
    values["token_ids"] = tuple(row["token_ids"]) if row.get("token_ids") is not None else None
    return Generation(**values)


class Shelf:
    """The generations of one engine identity: an append-only file and an index of it in memory."""

    def __init__(self, path: Path) -> None:
        """Read the index of `path`; the file and its folder are made when something is appended."""
        self.path = path
        self._generations: dict[tuple[str, str], tuple[int, int]] = {}
        self._newest: dict[str, tuple[int, int]] = {}
        self._measured: dict[tuple[str, str], dict[str, Any]] = {}
        self._file: int | None = None
        self._reader: int | None = None
        if path.exists():
            self._read_index()

    @classmethod
    def of(cls, store: Path, spec: EngineSpec) -> Shelf:
        """Open the shelf of an engine: one file per model content, quantisation and kind of weights."""
        name = digest([spec.backend, spec.checkpoint if not spec.digest else spec.digest, spec.quant, spec.weights])[
            :16
        ]
        return cls(store / f"{name}.jsonl")

    def find(self, key: str, conditions: Conditions | None) -> Generation | None:
        """Return what is stored for `key`: under these conditions, or with None under any (then the newest)."""
        where = self._newest.get(key) if conditions is None else self._generations.get((key, digest(dict(conditions))))
        if where is None:
            return None
        if self._reader is None:
            self._reader = os.open(self.path, os.O_RDONLY)
        return from_json(json.loads(os.pread(self._reader, where[1], where[0]))["generation"])

    def append(self, key: str, conditions: Conditions, generation: Generation) -> None:
        """Store a generation; it survives the death of this process once this returns."""
        where = self._write({"key": key, "conditions": dict(conditions), "generation": to_json(generation)})
        self._generations[key, digest(dict(conditions))] = self._newest[key] = where

    def measured(self, job: str, conditions: Conditions) -> dict[str, Any] | None:
        """Return what was measured over exactly this job's generations under these conditions."""
        return self._measured.get((job, digest(dict(conditions))))

    def append_measured(self, job: str, conditions: Conditions, measured: Mapping[str, Any]) -> None:
        """Keep what a whole job measured (wall time, peaks), for a rerun that asks nothing anew."""
        self._write({"job": job, "conditions": dict(conditions), "measured": dict(measured)})
        self._measured[job, digest(dict(conditions))] = dict(measured)

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        if self._reader is not None:
            os.close(self._reader)
            self._reader = None

    def _write(self, row: Mapping[str, Any]) -> tuple[int, int]:
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        # Two runners may share a shelf: the lock gives each line a place of its own, and us its offset.
        with FileLock(f"{self.path}.lock"):
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                size += os.write(self._file, b"\n")
            written = os.write(self._file, line)
        if written != len(line):
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes were written; is the disk full?")
        return size, len(line)

    def _read_index(self) -> None:
        torn = 0
        for offset, line in self._lines():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                torn += 1
                continue
            conditions = digest(row.get("conditions", {}))
            if "key" in row:
                self._generations[row["key"], conditions] = self._newest[row["key"]] = (offset, len(line))
            elif "job" in row:
                self._measured[row["job"], conditions] = row["measured"]
        if torn:
            log.warning("%s: %d unreadable line(s) skipped; what they held is asked again", self.path, torn)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        offset = 0
        with self.path.open("rb") as file:
            for line in file:
                yield offset, line
                offset += len(line)
