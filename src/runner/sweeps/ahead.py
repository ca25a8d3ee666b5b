"""The next job's engine starts while the last job, which needs its own no more, is scored, written and uploaded.

That is the only time for it: while answers are timed nothing else may use the cores, and memory may hold no second
engine. So it begins after a job's last answer, when what its engine used has been read, and the next job asks only
after all of the last one is done.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence

from backends.api import EngineSpec
from runner.asking import engines
from runner.asking.questions import asks_at_once
from runner.base import paths
from runner.base.errors import RunnerError
from runner.config import Config
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.store import Shelf

log = logging.getLogger(__name__)
_configs: list[Config] = []
_specs: list[EngineSpec] = []


def expect(configs: Sequence[Config], specs: Sequence[EngineSpec]) -> None:
    """Say which jobs will run in this process, in this order, and which engine each needs."""
    _configs[:], _specs[:] = configs, specs
    engines.expect(specs)


def after(number: int | None, job: Job) -> None:
    """Begin to start the engine of the job after this one, where that needs another and would be started in any case.

    Not where the job's scores need memory that an engine would take, too, and not where several processes share GPUs.
    """
    following = None if number is None else number + 1
    if following is None or following >= len(_specs) or _specs[following] == job.spec:
        return
    config = _configs[following]
    if config.backend.base_url or config.pool.gpus or job.config.pool.gpus:
        return
    if any(metric.env != "current" for metric in job.metrics.values()):
        return
    engines.start_ahead(functools.partial(_planned, config))


def _planned(config: Config) -> Job | None:
    """Return a job whose engine is needed for sure and can be started without building anything; else None."""
    try:
        job = plan(config, here=True)
    except RunnerError:
        return None  # that job says it itself
    if job.ocr is not None or not engines.needs_no_building(job):
        return None
    with Shelf.of(paths.store_dir(), job.spec) as shelf:
        return job if asks_at_once(job, shelf) else None
