"""The next job's engine starts while the last job, which needs its own no more, is scored, written and uploaded.

That is the only time for it: while answers are timed nothing else may use the cores, and memory may hold no second
engine. So it begins after a job's last answer, when what its engine used has been read, and the next job asks only
after all of the last one is done.

The checkpoint that the next engine loads comes earlier, on four cores or more or where `pool.fetch_ahead` asks for it:
while answers are timed it is fetched from the hub, or read into the page cache where it is large and on this machine,
by a process that uses a fiftieth of the cores at most (asking/fetch_tasks.py; benchmarks/fetch_ahead.py measures what
that does to latencies). Not while an endpoint beyond this machine answers, whose answers come over the same network.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence

from backends.api import EngineSpec
from runner.asking import engines, fetching
from runner.asking.questions import asks_at_once
from runner.base import paths
from runner.base.errors import RunnerError
from runner.base.helper import has_idle_cores
from runner.config import Config
from runner.planning import hub_check
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


def prepare(number: int | None) -> None:
    """Get ready to fetch the next engine's checkpoint, before the answers of this job are timed."""
    if (index := _next_engine(number)) is not None and fetching.is_of_use(_configs[index], _specs[index]):
        fetching.prepare()


def beside(number: int | None, job: Job) -> None:
    """Begin to fetch the checkpoint that the next engine of this process loads, while this job's engine answers.

    Not where the first question of its job has a stored answer: perhaps all have, and no engine is needed.
    """
    index = _next_engine(number)
    if index is None or not hub_check.is_here(job.config) or not fetching.is_of_use(_configs[index], _specs[index]):
        return
    if _asks(_configs[index]):
        fetching.begin(_configs[index], _specs[index], job.title)


def _next_engine(number: int | None) -> int | None:
    """Return the first job after this one that needs another engine than it, None where it fetches nothing ahead."""
    if number is None or number >= len(_specs):
        return None
    wanted = _configs[number].pool.fetch_ahead
    if not (has_idle_cores() if wanted is None else wanted):
        return None
    following = range(number + 1, len(_specs))
    return next((index for index in following if _specs[index] != _specs[number]), None)


def _asks(config: Config) -> bool:
    """Return whether an engine is needed for sure."""
    try:
        job = plan(config, here=True)
    except RunnerError:
        return False  # that job says it itself
    if job.ocr is not None:  # its texts of pages are part of the questions, and come later
        return True
    with Shelf.of(paths.store_dir(), job.spec) as shelf:
        return asks_at_once(job, shelf)


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
