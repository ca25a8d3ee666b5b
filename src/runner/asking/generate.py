"""The generation stage of a job: what the store lacks is asked, everything asked is stored."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable

from backends.api import Endpoint, Generation, Mark
from backends.fleet import Fleet
from runner.asking import load, stored_timings
from runner.asking.ask_all import AskAll, allowed_failures
from runner.asking.engines import acquire, log_path
from runner.asking.questions import Generated, JobAsk, Keep, Questions
from runner.asking.rate_limit import RateLimit
from runner.base.errors import JobFailed
from runner.base.progress import Progress
from runner.config.request_form import request_form
from runner.datasets.encoded import BadImage
from runner.planning.job import Job
from runner.store import Shelf


def generate(
    job: Job,
    shelf: Shelf,
    result: Generated,
    keep: Keep,
    quiet: Callable[[], None] = lambda: None,
    beside: Callable[[], None] = lambda: None,
    gate: load.Gate | None = None,
) -> None:
    """Bring the store to hold an answer, or a failure be known, for every sample and repeat of the job.

    `result` is filled on the way, so that it says what was done even when this raises. A job may be asked in parts, as
    several jobs with other samples: then each goes on with the `result` of the one before. `keep` takes each answer and
    each failure once, when it is there. `quiet` returns when nothing else of ours needs the cores; it is called before
    an engine of this machine is asked. `beside` begins what is done while answers come. `gate` lets requests pass that
    are paid for, within a budget.
    """
    total = job.questions
    result.total += total
    # What probes for a limit is meant to fail beyond it.
    result.allowed = None if job.dataset.probes else allowed_failures(job.config.max_failed, result.total)
    for key, omitted in request_form(job.config).not_sent.items():
        result.notes.append(f"not sent: {', '.join(omitted)} ({key}): the endpoint's own values hold")
    with Progress(job.title, total) as progress:
        _read_pages(job, progress)
        questions = Questions(job, shelf, result, progress, keep)
        if job.config.backend.adapt_concurrency:
            # Parts of a job go on with what the first one learned.
            gate = result.rate_limit = result.rate_limit or RateLimit(job.config.concurrency, gate)
        _asking(job, shelf, result, questions, quiet, beside, gate).ask(questions.missing())
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


def _asking(
    job: Job,
    shelf: Shelf,
    result: Generated,
    questions: Questions,
    quiet: Callable[[], None],
    beside: Callable[[], None],
    gate: load.Gate | None,
) -> AskAll:
    """Return how the engine of a job is asked, and where its answers and measurements go."""
    progress = questions.progress

    def on_answer(ask: load.Ask, generation: Generation) -> load.Ask | None:
        assert isinstance(ask, JobAsk)
        if generation.error is not None and generation.error.kind == "over_budget":
            left = result.total - len(result.keys) - len(result.failures)
            raise JobFailed(
                f"{generation.error.message}; {left} of {result.total} questions were not asked. Raise it and start "
                "the same command again: what was answered is stored and not paid for twice"
            )
        generation = dataclasses.replace(generation, conditions=job.conditions, lowered_max_pixels=ask.max_pixels)
        if generation.error is None:
            shelf.append(ask.key, job.conditions, generation)
            result.fresh.add(ask.key)
            questions.answer(ask.asked, ask.key, generation)
        elif generation.error.kind == "out_of_memory" and ask.lower is not None:
            lowered = ask.lower()
            if lowered is not None or ask.asked.name in result.keys:  # asked again with less, or found in the store
                return lowered
        progress.advance(failed=generation.error is not None)
        if generation.error is not None:
            questions.fail(ask.asked, generation)
        return None

    def acquired() -> tuple[Fleet, int]:
        result.log_paths = tuple(log_path(job.spec, number) for number in range(job.config.backend.replicas))
        fleet, started = acquire(job, progress.say)
        if fleet.log_paths:  # its answers are timed, and it may need all cores
            quiet()
        return fleet, started

    def measured(tally: load.Tally, engine: Fleet, mark: Mark) -> None:
        result.measured = stored_timings.keep(job, shelf, tally, engine.since(mark), result.measured)

    return AskAll(
        job,
        result,
        progress,
        on_answer,
        acquired,
        warmup=max(job.config.warmup, job.config.concurrency) if job.config.warmup else 0,
        probes=job.dataset.probes,
        gate=gate,
        measured=measured,
        arrivals=job.arrivals,
        endpoint=functools.partial(_counting, job),
        begins=beside,
    )


def _counting(job: Job, endpoint: Endpoint) -> Endpoint:
    """Tell the client what a piece of a picture is called, where the engine lists the tokens of its prompts."""
    if endpoint.dialect != "local" or not endpoint.token_ids:
        return endpoint
    return dataclasses.replace(endpoint, image_token=job.image_token)
