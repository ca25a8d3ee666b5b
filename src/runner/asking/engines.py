"""The engines of this process: started when a job needs them, kept warm for the next, always closed."""

from __future__ import annotations

import atexit
import logging
import os
import platform
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from backends.api import Backend, Engine, EngineFailed, EngineSpec
from backends.fleet import Fleet
from backends.pool import Pool
from backends.process import undoing
from backends.process.gpu_claims import OnGpus, claim
from backends.process.server import start
from runner import store
from runner.asking import fetching
from runner.base import paths
from runner.base.errors import JobFailed
from runner.planning import environments

log = logging.getLogger(__name__)
_pool: Pool | None = None
# Engines that did not start, and why: the other jobs of their group would wait minutes for the same end.
_unstartable: dict[tuple[EngineSpec, float], EngineFailed] = {}
_used: set[str] = set()  # environments
_expected: dict[EngineSpec, EngineSpec] = {}  # with the limits that all jobs of the group can share
_ahead: _Ahead | None = None
CANCELLED_WITHIN_S = 15.0


class NeedsEngine(fetching.NeedsCheckpoint, Protocol):
    """A job, or a judge, with what serves its model."""

    @property
    def backend(self) -> Backend:
        """Return what serves it."""
        ...


class _Ahead:
    """An engine that is started in a thread before its job begins."""

    def __init__(self, find: Callable[[], NeedsEngine | None], pool: Pool) -> None:
        """Begin. `find` returns whom it is for, None where nothing is to be started."""
        self._find, self._pool = find, pool
        self._job: NeedsEngine | None = None
        self._say: Callable[[str], None] | None = None
        self._said = ""
        self._started = 0
        self._error: JobFailed | None = None
        self.cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="start of the next engine")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._job = self._find()
            if self._job is not None and not self.cancelled.is_set():
                self._started = _acquired(self._job, self._pool, self._tell, self.cancelled)[1]
        except JobFailed as error:
            self._error = error
        except Exception:
            if not self.cancelled.is_set():  # the job starts its engine itself, or says why it can't
                log.exception("the next engine could not be started ahead of its job")

    def _tell(self, text: str) -> None:
        self._said = text
        if self._say is not None:
            self._say(text)

    def handed_over(self, job: NeedsEngine, say: Callable[[str], None]) -> int:
        """Wait for the start; return how many engines were started for `job`. Raise JobFailed where its own did not."""
        if self._said and self._thread.is_alive():
            say(self._said)
        self._say = say
        self._thread.join()
        if self._job is None or self._job.spec != job.spec:
            return 0
        if self._error is not None:
            raise self._error
        return self._started

    def cancel(self) -> None:
        """End a start that is still going on."""
        self.cancelled.set()
        self._thread.join(CANCELLED_WITHIN_S)


def expect(specs: Iterable[EngineSpec]) -> None:
    """Say which engines the jobs of this process need, so that each reserves memory for the largest picture of all."""
    _expected.clear()
    for spec in specs:
        _expected[spec] = _expected.get(spec, spec).with_limits_of(spec)


def start_ahead(find: Callable[[], NeedsEngine | None]) -> None:
    """Begin to start the engine of the next job, which `find` returns; it takes the place of those in the pool.

    `find` is called in a thread. The job's own `acquire` waits for the engine, and is told what became of it.
    """
    global _ahead
    if _pool is not None and _ahead is None:
        _ahead = _Ahead(find, _pool)


def needs_no_building(job: NeedsEngine) -> bool:
    """Say whether an engine's environment is there: an earlier job of this process has used it, or it is our own."""
    return job.spec.env == "current" or job.spec.env in _used


def acquire(job: NeedsEngine, say: Callable[[str], None]) -> tuple[Fleet, int]:
    """Return the engines of a job and how many were started for it. Raise JobFailed where one does not start.

    An engine that did not start within a job's time-out is not tried again for the jobs that need the same.
    """
    global _pool, _ahead
    if _pool is None:
        _pool = Pool(max_engines=job.config.pool.max_engines)
        atexit.register(close)
    ahead, earlier = _ahead, 0
    if ahead is not None:
        try:
            earlier = ahead.handed_over(job, say)
        except JobFailed:
            _ahead = None
            raise
        _ahead = None  # after an interruption it is left to `close`
    fleet, started = _acquired(job, _pool, say)
    _used.add(job.spec.env)
    return fleet, earlier + started


def _acquired(
    job: NeedsEngine, pool: Pool, say: Callable[[str], None], cancelled: threading.Event | None = None
) -> tuple[Fleet, int]:
    pool.resize(job.config.pool.max_engines)
    wanted = (job.spec, job.config.backend.start_timeout_s)
    if (failed := _unstartable.get(wanted)) is not None:
        raise JobFailed(f"its engine did not start for an earlier job\n{failed.failure.message}") from failed

    replicas = job.config.backend.replicas

    def launch(spec: EngineSpec, number: int) -> Engine:
        which = f" {number + 1} of {replicas}" if replicas > 1 else ""
        log.info("%s: starting the engine%s (%s, %s)", job.name, which, spec.backend, spec.checkpoint)
        return _started(job, spec, number, lambda text: say(f"starting{which}, {text}"), cancelled)

    try:
        shared = _expected.get(job.spec, job.spec).with_limits_of(job.spec)
        engines, started = pool.acquire_all(shared, launch, replicas)
    except EngineFailed as error:
        _unstartable[wanted] = error
        raise JobFailed(f"the engine did not start\n{error.failure.message}") from error
    fleet = Fleet(engines)
    return fleet, started if fleet.log_paths else 0  # without a log it is an endpoint, and nothing was started


def _started(
    job: NeedsEngine,
    spec: EngineSpec,
    number: int,
    on_progress: Callable[[str], None],
    cancelled: threading.Event | None,
) -> Engine:
    """Start one engine, on GPUs of its own where the job asks for that, once its checkpoint is there."""
    fetching.finish(job, on_progress)  # before the start, which is timed and has a time-out
    for machine in machines_left(0.0):
        log.warning("%s", machine.warning)
    environment = environments.resolve(job.config)
    claimed = claim(job.config.pool.gpus, on_progress) if job.config.pool.gpus else None
    if claimed is not None:
        environment = OnGpus(environment, claimed.devices)
    release = claimed.release if claimed is not None else None
    try:
        return start(
            job.backend,
            spec,
            log_path=log_path(spec, number),
            timeout_s=job.config.backend.start_timeout_s,
            on_progress=on_progress,
            environment=environment,
            on_close=release,
            cancelled=cancelled,
        )
    except BaseException:
        if release is not None:
            release()
        raise


def close() -> None:
    """Close all engines of this process."""
    global _pool, _ahead
    ahead, _ahead = _ahead, None
    if ahead is not None:
        ahead.cancelled.set()
    if _pool is not None:
        _pool.close()
        _pool = None
    fetching.stop()
    if ahead is not None:
        ahead.cancel()
    _unstartable.clear()
    _used.clear()
    _expected.clear()


def machines_left(since: float) -> list[undoing.Left]:
    """Return the machines rented from here after this moment (Unix time) that nobody uses and that may still run."""
    left = undoing.left(environments.machine_records())
    return [machine for machine in left if machine.started_at >= since and machine.host == platform.node()]


def log_path(spec: EngineSpec, number: int = 0) -> Path:
    """Return where the output of this process's engine for `spec` goes, of its n-th one."""
    folder = paths.store_dir() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{store.digest(repr(spec))[:16]}-{os.getpid()}{f'-{number}' if number else ''}.log"
