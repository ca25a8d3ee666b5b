"""The generation stage of a job: what the store lacks is asked, everything asked is stored."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.api import Endpoint, Engine, EngineStats, Failure, Generation, GenerationRequest, ImagePart, TextPart
from runner import load, store
from runner.datasets.api import Image, Sample
from runner.datasets.images import BadImage, EncodedImage, read_images
from runner.engines import acquire
from runner.errors import JobFailed
from runner.plan import Job
from runner.progress import Progress
from runner.prompts import PromptError
from runner.store import Shelf

log = logging.getLogger(__name__)
Question = tuple[str, int]  # sample id, repeat


@dataclass
class Generated:
    """What the stage leaves: where each answer is stored, which failed, and what was measured on the way.

    `measured` is None where nothing was asked anew and nothing fitting was measured before. `timed` is false where
    answers were taken over that were made under other conditions: then no figure of speed or memory is reported.
    """

    keys: dict[Question, str] = field(default_factory=dict)
    failures: dict[Question, Generation] = field(default_factory=dict)
    reused: int = 0
    timed: bool = True
    measured: dict[str, Any] | None = None
    started: bool = False
    restarts: int = 0
    load_s: float | None = None
    log_path: Path | None = None


class Questions:
    """Walks the samples of a job lazily and yields what must be asked; keeps account of the rest."""

    def __init__(self, job: Job, shelf: Shelf, result: Generated, progress: Progress) -> None:
        """Prepare the walk; nothing is read yet."""
        self.job, self.shelf, self.result, self.progress = job, shelf, result, progress
        # Neighbouring questions are about the same pictures: keep the last few instead of reading them again.
        self._read = functools.lru_cache(maxsize=4)(read_images)

    def missing(self) -> Iterator[load.Ask]:
        """Yield the questions that have no stored answer under the job's `reuse` rule."""
        for sample in self.job.dataset:
            for repeat in range(self.job.config.sampling.repeats):
                if (ask := self._ask(sample, repeat)) is not None:
                    yield ask

    def _ask(self, sample: Sample, repeat: int) -> load.Ask | None:
        question = (sample.id, repeat)
        try:
            images = self._read(sample.images)
            key = self._key(sample, images, repeat)
        except (BadImage, PromptError) as error:
            failure = Failure("bad_input", str(error))
            self.result.failures[question] = Generation(f"{sample.id}#{repeat}", None, failure)
            self.progress.advance(failed=True)
            return None
        self.result.keys[question] = key
        if self._stored(key):
            self.result.reused += 1
            self.progress.advance()
            return None
        return load.Ask(key, sample.id, repeat, functools.partial(self.request, sample, repeat, key))

    def _stored(self, key: str) -> bool:
        reuse = self.job.config.reuse
        if reuse == "never":
            return False
        if self.shelf.find(key, self.job.conditions) is not None:
            return True
        if reuse == "answers" and self.shelf.find(key, None) is not None:
            self.result.timed = False
            return True
        return False

    def _key(self, sample: Sample, images: tuple[EncodedImage, ...], repeat: int) -> str:
        """Name everything that decides the text of this answer."""
        parts = tuple(ImagePart(image.digest.encode(), image.media_type) for image in images)
        messages = [
            [message.role, *(_named(part) for part in message.parts)]
            for message in self.job.prompt.render(sample, parts)
        ]
        sampling = dataclasses.asdict(self.job.sampling(repeat))
        if sampling["seed"] is None:
            sampling["repeat"] = repeat
        return store.digest([dict(self.job.identity), messages, sampling])

    def request(self, sample: Sample, repeat: int, key: str) -> GenerationRequest:
        """Read the pictures and make the request. Raises BadImage."""
        images = self._read(sample.images)
        parts = tuple(ImagePart(image.data, image.media_type) for image in images)
        return GenerationRequest(
            key=key,
            messages=self.job.prompt.render(sample, parts),
            sampling=self.job.sampling(repeat),
            pixels=self.job.pixels,
        )


def _named(part: TextPart | ImagePart) -> list[str]:
    return ["text", part.text] if isinstance(part, TextPart) else ["image", part.data.decode()]


def generate(job: Job, shelf: Shelf, result: Generated) -> None:
    """Bring the store to hold an answer, or a failure be known, for every sample and repeat of the job.

    `result` is filled on the way, so that it says what was done even when this raises.
    """
    total = len(job.dataset) * job.config.sampling.repeats
    with Progress(job.name, total) as progress:
        walk = Questions(job, shelf, result, progress)
        missing = walk.missing()
        first = next(missing, None)
        if first is not None:
            _ask_engine(job, shelf, result, progress, first, missing)
    _keep_measurements(job, shelf, result)
    shelf.close()


def _ask_engine(
    job: Job, shelf: Shelf, result: Generated, progress: Progress, first: load.Ask, rest: Iterator[load.Ask]
) -> None:
    """Get the engine, warm it up, and ask it everything that is missing."""
    engine, result.started = acquire(job, progress.say)
    result.load_s, result.log_path = engine.load_s, engine.log_path

    def on_answer(ask: load.Ask, generation: Generation) -> None:
        generation = dataclasses.replace(generation, conditions=job.conditions)
        if generation.error is None:
            shelf.append(ask.key, job.conditions, generation)
        else:
            result.failures[ask.sample_id, ask.repeat] = generation
        progress.advance(failed=generation.error is not None)

    try:
        progress.say("warming up")
        _run(job, engine, itertools.repeat(first, job.config.warmup), lambda _ask, _generation: None)
    except load.EngineGone:
        raise JobFailed(f"the engine died while it was warmed up\n{engine.crash_report().message}") from None
    progress.say("asking")
    asks = itertools.chain([first], rest)
    while True:
        mark = engine.mark()
        try:
            loaded = _run(job, engine, asks, on_answer)
        except load.EngineGone as gone:
            _part(result, gone.loaded, engine.since(mark))
            report = engine.crash_report().message
            if result.restarts >= job.config.backend.max_restarts:
                raise JobFailed(_died(job, result, report)) from None
            engine = _restarted(job, result, progress, report)
            asks = itertools.chain(gone.unanswered, asks)
        else:
            _part(result, loaded, engine.since(mark))
            return


def _restarted(job: Job, result: Generated, progress: Progress, report: str) -> Engine:
    """Start the engine of a job anew, and say so: in the log, and in the notes of the job."""
    result.restarts += 1
    log.warning("%s: %s\n  it is started again; the finished answers are kept", job.name, report)
    note = f"the engine died and was started again ({result.restarts}x): {report.splitlines()[0]}"
    assert result.measured is not None
    result.measured["stats"]["notes"] = [*result.measured["stats"]["notes"], note]
    engine, _ = acquire(job, progress.say)
    result.log_path = engine.log_path
    return engine


def _died(job: Job, result: Generated, report: str) -> str:
    times = f"for the {result.restarts + 1}. time" if result.restarts else "while it was asked"
    return f"the engine died {times} (backend.max_restarts={job.config.backend.max_restarts})\n{report}"


def _part(result: Generated, loaded: load.Loaded | None, stats: EngineStats) -> None:
    """Add what was measured of one engine's life to what was measured before its restart."""
    now = _measured(loaded or load.Loaded(0.0, 0.0, 0), stats)
    result.measured = joined(result.measured, now) if result.measured else now


def _run(job: Job, engine: Engine, asks: Iterator[load.Ask], on_answer: Any) -> load.Loaded:
    endpoint: Endpoint = engine.endpoint
    return asyncio.run(
        load.load(
            iter(asks),
            endpoint,
            concurrency=job.config.concurrency,
            retries=job.config.backend.retries,
            timeout_s=job.config.backend.request_timeout_s,
            alive=engine.alive,
            on_answer=on_answer,
        )
    )


# --------------------------------------------------------------------------------------------- measurements


def _measured(loaded: load.Loaded, stats: EngineStats) -> dict[str, Any]:
    return {**dataclasses.asdict(loaded), "stats": dataclasses.asdict(stats)}


def _keep_measurements(job: Job, shelf: Shelf, result: Generated) -> None:
    """Store what this job measured, joined with what an interrupted run of the same job had measured before."""
    if job.config.reuse == "never":
        return
    name = store.digest(sorted(result.keys.values()))
    before = shelf.measured(name, job.conditions) if result.reused else None
    if result.measured is None:
        result.measured = before
        return
    result.measured = joined(before, result.measured) if before else result.measured
    shelf.append_measured(name, job.conditions, result.measured)


def joined(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Join two measurements of parts of one job: times and energy add up, peaks are the higher one."""
    stats = dict(now["stats"])
    for name, value in before["stats"].items():
        if isinstance(value, (int, float)) and not name.endswith("_rate"):
            mine = stats.get(name)
            added = value + mine if name == "energy_joules" and mine is not None else None
            stats[name] = added if added is not None else max(value, mine if mine is not None else value)
    stats["notes"] = sorted({*before["stats"].get("notes", ()), *stats.get("notes", ())})
    sums = {name: before[name] + now[name] for name in ("wall_s", "waited_s", "asked")}
    return {**sums, "stats": stats}


def describe_image(image: Image) -> str:
    """Name a picture for people: the path, and the page of a PDF."""
    return str(image.path) if image.page is None else f"{image.path}#page={image.page + 1}"
