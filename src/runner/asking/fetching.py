"""Checkpoints come into this machine's cache before an engine is started: while the engine before answers, or then.

One helper process fetches them (`fetch_tasks`), so that neither the hub's client nor the copying takes the interpreter
from the client that measures latencies. It serves one checkpoint at a time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backends.api import EngineSpec
from runner.base.errors import JobFailed, Refused
from runner.base.helper import Helper, HelperFailed
from runner.config import Config
from runner.planning import hub, hub_check

log = logging.getLogger(__name__)
WORTH_READING = 2**30  # bytes; less is read in a moment when it is needed
_using = threading.RLock()  # the helper may be used by one thread at a time
_helper: Helper | None = None
_under_way: _UnderWay | None = None


class NeedsCheckpoint(Protocol):
    """A job, or a judge."""

    @property
    def name(self) -> str:
        """Return a short name for people."""
        ...

    @property
    def config(self) -> Config:
        """Return the config that says where its engine runs."""
        ...

    @property
    def spec(self) -> EngineSpec:
        """Return which engine it is."""
        ...


@dataclass
class _UnderWay:
    """A checkpoint that is fetched or read ahead: for which engine, and while whose answers."""

    spec: EngineSpec
    number: int
    what: str  # "fetched" or "read"
    size: int
    beside: str


def is_of_use(config: Config, spec: EngineSpec) -> bool:
    """Return whether something can be done for the checkpoint of this engine before it starts."""
    try:
        return bool(hub_check.to_fetch(config, spec) or _worth_reading(config, spec))
    except Refused:  # its own job says it
        return False


def prepare() -> None:
    """Start the helper process, which imports what it needs: before answers are timed."""
    if _using.acquire(blocking=False):  # else it is in use, and has been started
        try:
            _started(low=True)
        finally:
            _using.release()


def begin(config: Config, spec: EngineSpec, beside: str) -> None:
    """Begin to fetch the checkpoint of an engine, or to read it, while the answers of `beside` are timed."""
    global _under_way
    with _using:
        if _under_way is not None:
            return
        process = _started(low=True)
        try:
            process.result(process.begin("prepare"))
        except HelperFailed as failed:
            log.warning("%s: nothing is fetched meanwhile: %s", beside, failed)
            stop()
            return
        if not is_of_use(config, spec):
            return
        if files := hub_check.to_fetch(config, spec):
            size, what = sum(files.values()), "fetched"
            number = _begin_fetch(process, spec, files)
        else:
            paths = _worth_reading(config, spec)
            size, what = sum(path.stat().st_size for path in paths), "read"
            number = process.begin("read", files=paths)
        _under_way = _UnderWay(spec, number, what, size, beside)
        log.info("%s: meanwhile the next checkpoint is %s, %s (%.2f GB)", beside, what, spec.checkpoint, size / 1e9)


def look() -> str | None:
    """Tell in the log what was done while answers came, as far as it is known now; return it for the job's record."""
    with _using:
        if _under_way is None or _helper is None:
            return None
        if _helper.busy():
            return f"while it answered, the checkpoint of the next engine was being {_under_way.what}"
        try:
            return _settled()
        except JobFailed as failed:  # it is tried again when its engine is wanted
            log.warning("%s", failed)
            return None


def finish(job: NeedsCheckpoint, say: Callable[[str], None]) -> None:
    """Return when the cache has the checkpoint of a job. Raise JobFailed where it can't be fetched."""
    with _using:
        if _under_way is not None:
            if _under_way.what == "fetched" and _is_same(_under_way.spec, job.spec):
                say(f"waiting for {job.spec.checkpoint} from the hub")
                try:
                    _settled()
                except JobFailed as failed:
                    log.warning("%s; once more", failed)
            else:
                stop()  # it was for an engine that is not wanted any more, or the engine itself reads it now
        try:
            files = hub_check.to_fetch(job.config, job.spec)
        except Refused as refused:  # it was to be had when the sweep was planned
            raise JobFailed("\n".join(map(str, refused.problems))) from refused
        if not files:
            return
        size = sum(files.values()) / 1e9
        say(f"fetching {job.spec.checkpoint} from the hub")
        log.info("%s: fetching %s from the hub (%.2f GB)", job.name, job.spec.checkpoint, size)
        process = _started(low=False)
        began = time.monotonic()
        try:
            process.result(_begin_fetch(process, job.spec, files))
        except HelperFailed as failed:
            raise JobFailed(f"{job.spec.checkpoint} could not be fetched\n{failed}") from failed
        log.info("%s: fetched %s in %.0f s", job.name, job.spec.checkpoint, time.monotonic() - began)


def stop() -> None:
    """End the helper process and what it does."""
    global _helper, _under_way
    process, _helper, _under_way = _helper, None, None
    if process is not None:
        process.stop()


def _begin_fetch(process: Helper, spec: EngineSpec, files: dict[str, int]) -> int:
    refs = hub.asked_as(spec.checkpoint, spec.revision)
    return process.begin("fetch", name=spec.checkpoint, commit=spec.revision, files=files, refs=refs)


def _is_same(first: EngineSpec, second: EngineSpec) -> bool:
    return (first.checkpoint, first.revision, first.files) == (second.checkpoint, second.revision, second.files)


def _started(*, low: bool) -> Helper:
    global _helper
    if _helper is None:
        _helper = Helper("runner.asking.fetch_tasks", low=low)
        _helper.begin("prepare")
    return _helper


def _settled() -> str | None:
    """Wait for what is under way, say when it was done, and forget it. Raise JobFailed where it failed."""
    global _under_way
    done, _under_way = _under_way, None
    assert done is not None and _helper is not None
    try:
        times = _helper.result(done.number)
    except HelperFailed as failed:
        raise JobFailed(f"{done.spec.checkpoint} could not be {done.what}\n{failed}") from failed
    if times is None:
        return None
    began, ended = (time.strftime("%H:%M:%S", time.localtime(at)) for at in times)
    fetched = f"the checkpoint of the next engine, {done.spec.checkpoint} ({done.size / 1e9:.2f} GB), was {done.what}"
    log.info("%s: %s from %s to %s", done.beside, fetched, began, ended)
    return f"while it answered, {fetched}"


def _worth_reading(config: Config, spec: EngineSpec) -> list[Path]:
    """Return the files of weights of a checkpoint on this machine, where they are large."""
    if hub_check.uses_our_cache(config, spec):
        folder = hub.snapshot(spec.checkpoint, spec.revision)
    else:
        is_folder = Path(spec.checkpoint).is_absolute() and hub_check.is_here(config)
        folder = Path(spec.checkpoint) if is_folder else None
    if folder is None or not folder.is_dir():
        return []
    if spec.files:
        chosen = [folder / name for name in spec.files if (folder / name).is_file()]
    else:
        sizes = {name: (folder / name).stat().st_size for name in hub.names(folder)}
        chosen = [folder / name for name in hub.needed(sizes)]
    return chosen if sum(path.stat().st_size for path in chosen) >= WORTH_READING else []
