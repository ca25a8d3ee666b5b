"""The engines of this process: started when a job needs them, kept warm for the next, always closed."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from pathlib import Path

from backends.api import Engine, EngineFailed, EngineSpec
from backends.pool import Pool
from backends.process.server import start
from runner import engine_environment, paths, store
from runner.errors import JobFailed
from runner.plan import Job

log = logging.getLogger(__name__)
_pool: Pool | None = None
# Engines that did not start, and why: the other jobs of their group would wait minutes for the same end.
_unstartable: dict[tuple[EngineSpec, float], EngineFailed] = {}


def acquire(job: Job, say: Callable[[str], None]) -> tuple[Engine, bool]:
    """Return the engine of a job and whether it was started for it. Raise JobFailed where it does not start.

    An engine that did not start within a job's time-out is not tried again for the jobs that need the same.
    """
    global _pool
    if _pool is None:
        _pool = Pool(max_engines=job.config.pool.max_engines)
        atexit.register(close)
    _pool.resize(job.config.pool.max_engines)
    wanted = (job.spec, job.config.backend.start_timeout_s)
    if (failed := _unstartable.get(wanted)) is not None:
        raise JobFailed(f"its engine did not start for an earlier job\n{failed.failure.message}") from failed

    def launch(spec: EngineSpec) -> Engine:
        log.info("%s: starting the engine (%s, %s)", job.name, spec.backend, spec.checkpoint)
        return start(
            job.backend,
            spec,
            log_path=log_path(spec),
            timeout_s=job.config.backend.start_timeout_s,
            on_progress=lambda text: say(f"starting, {text}"),
            environment=engine_environment.resolve(job.config),
        )

    try:
        engine, is_new = _pool.acquire(job.spec, launch)
    except EngineFailed as error:
        _unstartable[wanted] = error
        raise JobFailed(f"the engine did not start\n{error.failure.message}") from error
    return engine, is_new and engine.log_path is not None  # without a log it is an endpoint, and nothing was started


def close() -> None:
    """Close all engines of this process."""
    global _pool
    if _pool is not None:
        _pool.close()
        _pool = None
    _unstartable.clear()


def log_path(spec: EngineSpec) -> Path:
    """Return where the output of this process's engine for `spec` goes."""
    folder = paths.store_dir() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{store.digest(repr(spec))[:16]}-{os.getpid()}.log"
