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


def acquire(job: Job, say: Callable[[str], None]) -> tuple[Engine, bool]:
    """Return the engine of a job and whether it was started for it. Raise JobFailed where it does not start."""
    global _pool
    if _pool is None:
        _pool = Pool(max_engines=job.config.pool.max_engines)
        atexit.register(close)

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
        raise JobFailed(f"the engine did not start\n{error.failure.message}") from error
    return engine, is_new and engine.log_path is not None  # without a log it is an endpoint, and nothing was started


def close() -> None:
    """Close all engines of this process."""
    global _pool
    if _pool is not None:
        _pool.close()
        _pool = None


def log_path(spec: EngineSpec) -> Path:
    """Return where the output of this process's engine for `spec` goes."""
    folder = paths.store_dir() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{store.digest(repr(spec))[:16]}-{os.getpid()}.log"
