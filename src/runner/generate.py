"""The generation stage of a job: what the store lacks is asked, everything asked is stored."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator

from backends.api import Endpoint, Failure, Generation
from backends.fleet import Fleet
from runner import load, measurements
from runner.datasets.encoded import BadImage
from runner.engines import acquire, log_path
from runner.errors import JobFailed
from runner.plan import Job
from runner.progress import Progress
from runner.questions import Generated, Questions, allowed_failures
from runner.store import Shelf

log = logging.getLogger(__name__)


def generate(job: Job, shelf: Shelf, result: Generated) -> None:
    """Bring the store to hold an answer, or a failure be known, for every sample and repeat of the job.

    `result` is filled on the way, so that it says what was done even when this raises.
    """
    result.total = total = len(job.dataset) * job.config.sampling.repeats
    # What probes for a limit is meant to fail beyond it.
    result.allowed = None if job.dataset.probes else allowed_failures(job.config.max_failed, total)
    with Progress(job.title, total) as progress:
        _read_pages(job, progress)
        walk = Questions(job, shelf, result, progress)
        missing = walk.missing()
        first = next(missing, None)
        if first is not None:
            _ask_engine(job, shelf, result, progress, first, missing)
    if result.measured is None:
        result.measured = shelf.measured(job.digest, job.conditions)


def _read_pages(job: Job, progress: Progress) -> None:
    """Read the text of all pages before the engine starts: between two questions it would delay the answers."""
    if job.ocr is None:
        return
    for number, sample in enumerate(job.dataset, start=1):
        progress.say(f"reading pages, {number} of {len(job.dataset)}")
        with contextlib.suppress(BadImage):  # that sample fails when it is its turn
            job.ocr.text(sample.images)


def _ask_engine(
    job: Job, shelf: Shelf, result: Generated, progress: Progress, first: load.Ask, rest: Iterator[load.Ask]
) -> None:
    """Get the engine, warm it up, and ask it everything that is missing."""
    result.log_paths = tuple(log_path(job.spec, number) for number in range(job.config.backend.replicas))
    engine, result.started = acquire(job, progress.say)
    result.load_s = engine.load_s

    def on_answer(ask: load.Ask, generation: Generation) -> load.Ask | None:
        generation = dataclasses.replace(generation, conditions=job.conditions, lowered_max_pixels=ask.max_pixels)
        question = (ask.sample_id, ask.repeat)
        if generation.error is None:
            shelf.append(ask.key, job.conditions, generation)
            result.keys[question] = ask.key
            result.fresh.add(ask.key)
        elif generation.error.kind == "out_of_memory" and ask.lower is not None:
            lowered = ask.lower()
            if lowered is not None or question in result.keys:  # asked again with less, or found in the store
                return lowered
        progress.advance(failed=generation.error is not None)
        if generation.error is not None:
            result.fail(question, generation)
        return None

    asks: Iterator[load.Ask] = itertools.chain([first], rest)
    try:
        progress.say("warming up")
        _warm_up(job, engine, first)
    except load.EngineGone as error:
        report = _ended(engine, error, job)
        if not job.dataset.probes:
            raise JobFailed(f"the engine died while it was warmed up\n{report.message}") from None
        on_answer(first, Generation(first.key, None, report))
        asks = rest
    progress.say("asking")
    progress.begin()
    while (gone := _ask_until_gone(job, shelf, result, engine, asks, on_answer)) is not None:
        crash = _ended(engine, gone, job)
        if crash.kind == "over_budget":  # the time of its machine: another would cost more
            raise JobFailed(crash.message)
        if job.dataset.probes:  # what it was asked was too large: that is the answer
            for ask in gone.unanswered:
                on_answer(ask, Generation(ask.key, None, crash))
            if (following := next(asks, None)) is None:
                return
            asks = itertools.chain([following], asks)
        elif result.restarts >= job.config.backend.max_restarts:
            raise JobFailed(_died(job, result, crash.message))
        else:
            asks = itertools.chain(gone.unanswered, asks)
        engine = _restarted(job, result, progress, crash.message, first)


def _ask_until_gone(
    job: Job,
    shelf: Shelf,
    result: Generated,
    engine: Fleet,
    asks: Iterator[load.Ask],
    on_answer: Callable[[load.Ask, Generation], load.Ask | None],
) -> load.EngineGone | None:
    """Ask one engine until there is nothing left or it dies; whatever ends it, keep what was measured."""
    mark, tally = engine.mark(), load.Tally()
    try:
        _load(job, engine, asks, tally, on_answer)
    except load.EngineGone as gone:
        return gone
    finally:
        if tally.asked:
            result.measured = measurements.keep(job, shelf, tally, engine.since(mark), result.measured)
    return None


def _ended(engines: Fleet, gone: load.EngineGone, job: Job) -> Failure:
    """Say why an engine is gone; one that hangs is ended first, so that the pool starts another."""
    url = gone.hung.url if gone.hung is not None else None
    hung = [engine for engine in engines.engines if engine.endpoint.url == url and engine.alive()]
    if not hung:
        return engines.crash_report()
    hung[0].close()
    waited = f"no answer within {job.config.backend.request_timeout_s:g} s (backend.request_timeout_s)"
    what = f"the engine hung: {waited}, nor to a short question after that; its log: {hung[0].log_path}"
    return Failure("engine_died", what, retryable=True)


def _restarted(job: Job, result: Generated, progress: Progress, report: str, first: load.Ask) -> Fleet:
    """Start the engine of a job anew and warm it up, and say so: in the log, and in the notes of the job."""
    result.restarts += 1
    log.warning("%s: %s\n  it is started again; the finished answers are kept", job.title, report)
    result.notes.append(f"the engine died and was started again ({result.restarts}x): {report.splitlines()[0]}")
    progress.rest()
    engine, started = acquire(job, progress.say)
    result.started += started
    try:
        _warm_up(job, engine, first)
    except load.EngineGone as gone:
        raise JobFailed(f"the engine died again while it was warmed up\n{_ended(engine, gone, job).message}") from None
    progress.begin()
    return engine


def _died(job: Job, result: Generated, report: str) -> str:
    times = f"for the {result.restarts + 1}. time" if result.restarts else "while it was asked"
    return f"the engine died {times} (backend.max_restarts={job.config.backend.max_restarts})\n{report}"


def _warm_up(job: Job, engine: Fleet, first: load.Ask) -> None:
    """Ask the first question a few times, without counting: first calls allocate and compile, batches too."""
    count = max(job.config.warmup, job.config.concurrency) if job.config.warmup else 0
    failed: list[Failure] = []

    def on_answer(_ask: load.Ask, generation: Generation) -> None:
        if generation.error is not None:
            failed.append(generation.error)

    _load(job, engine, itertools.repeat(first, count), load.Tally(), on_answer, retries=0)
    if failed:
        log.warning("%s: %d of %d warm-up requests failed: %s", job.title, len(failed), count, failed[0].message)


def _load(
    job: Job,
    engine: Fleet,
    asks: Iterator[load.Ask],
    tally: load.Tally,
    on_answer: Callable[[load.Ask, Generation], load.Ask | None],
    retries: int | None = None,
) -> None:
    asyncio.run(
        load.load(
            iter(asks),
            [_counting(endpoint, job) for endpoint in engine.endpoints],
            tally,
            concurrency=job.config.concurrency,
            retries=job.config.backend.retries if retries is None else retries,
            timeout_s=job.config.backend.request_timeout_s,
            alive=engine.alive,
            on_answer=on_answer,
            may_hang=bool(engine.log_paths),
        )
    )


def _counting(endpoint: Endpoint, job: Job) -> Endpoint:
    """Tell the client what a piece of a picture is called, where the engine lists the tokens of its prompts."""
    if endpoint.dialect != "local" or not endpoint.token_ids:
        return endpoint
    return dataclasses.replace(endpoint, image_token=job.image_token)
