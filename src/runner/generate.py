"""The generation stage of a job: what the store lacks is asked, everything asked is stored."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.api import Failure, Generation, GenerationRequest, ImagePart, TextPart, VideoPart
from backends.fleet import Fleet
from runner import limits, load, measurements, store
from runner.datasets.api import Sample
from runner.datasets.encoded import BadImage, EncodedImage
from runner.datasets.images import read_images
from runner.engines import acquire, log_path
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
    # Two rows may ask the same: the second takes the first one's answer, which doesn't make it an old one.
    fresh: set[str] = field(default_factory=set)
    reused: int = 0
    timed: bool = True
    measured: dict[str, Any] | None = None
    started: int = 0  # engines, also those that were started again
    restarts: int = 0
    notes: list[str] = field(default_factory=list)
    load_s: float | None = None
    log_paths: tuple[Path, ...] = ()


class Questions:
    """Walks the samples of a job lazily and yields what must be asked; keeps account of the rest."""

    def __init__(self, job: Job, shelf: Shelf, result: Generated, progress: Progress) -> None:
        """Prepare the walk; nothing is read yet."""
        self.job, self.shelf, self.result, self.progress = job, shelf, result, progress
        # Neighbouring questions are about the same pictures: keep the last few instead of reading them again.
        self._read = functools.lru_cache(maxsize=4)(read_images)

    def missing(self) -> Iterator[load.Ask]:
        """Yield the questions that have no stored answer under the job's `reuse` rule."""
        if self.job.dataset.is_search:
            yield from self._searched()
            return
        for sample in self.job.dataset:
            for repeat in range(self.job.config.sampling.repeats):
                if self.job.dataset.probes and any(limits.is_limit(one.error) for one in self.result.failures.values()):
                    return  # the others are as large
                if (ask := self._ask(sample, repeat)) is not None:
                    yield ask

    def _searched(self) -> Iterator[load.Ask]:
        """Yield the questions of a search for the largest sample that is answered; each waits for the one before."""
        samples = tuple(self.job.dataset)
        search = limits.search(len(samples))
        index = next(search)
        while True:
            if (ask := self._ask(samples[index], 0)) is not None:
                yield ask
            try:
                index = search.send((samples[index].id, 0) in self.result.keys)
            except StopIteration:
                return

    def _ask(self, sample: Sample, repeat: int) -> load.Ask | None:
        try:
            images = self._read(sample.images)
            key = self._key(sample, images, repeat)
        except (BadImage, PromptError) as error:
            failure = Failure("bad_input", str(error))
            self.result.failures[sample.id, repeat] = Generation(f"{sample.id}#{repeat}", None, failure)
            self.progress.advance(failed=True)
            return None
        if self._stored(key):
            self.result.keys[sample.id, repeat] = key
            self.result.reused += key not in self.result.fresh
            self.progress.advance()
            return None
        named = tuple(image.digest for image in images)
        return load.Ask(key, sample.id, repeat, functools.partial(self.request, sample, repeat, key, named))

    def _stored(self, key: str) -> bool:
        reuse = self.job.config.reuse
        if reuse == "never" and key not in self.result.fresh:
            return False
        if self.shelf.find(key, self.job.conditions) is not None:
            return True
        if reuse == "answers" and self.shelf.find(key, None) is not None:
            self.result.timed = False
            return True
        return False

    def _key(self, sample: Sample, images: tuple[EncodedImage, ...], repeat: int) -> str:
        """Name everything that decides the text of this answer."""
        named = (dataclasses.replace(image, data=image.digest.encode()) for image in images)
        parts = parts_of(named)
        messages = [
            [message.role, *(_named(part) for part in message.parts)] for message in self.job.messages(sample, parts)
        ]
        sampling = dataclasses.asdict(self.job.sampling(repeat))
        if sampling["seed"] is None:
            sampling["repeat"] = repeat
        return store.digest([dict(self.job.identity), messages, sampling])

    def request(self, sample: Sample, repeat: int, key: str, named: tuple[str, ...]) -> GenerationRequest:
        """Read the pictures, whose digests are part of `key`, and make the request. Raises BadImage."""
        images = self._read(sample.images)
        if tuple(image.digest for image in images) != named:
            # Stored under this key, the answer would later be taken for one about the earlier picture.
            names = ", ".join(str(image.path) for image in sample.images)
            raise BadImage(f"{names}: changed while the job ran; start it again")
        return GenerationRequest(
            key=key,
            messages=self.job.messages(sample, parts_of(images)),
            sampling=self.job.sampling(repeat),
            pixels=self.job.pixels,
        )


def parts_of(images: Iterable[EncodedImage]) -> tuple[ImagePart | VideoPart, ...]:
    """Return pictures as the parts of a message; neighbours that are frames of one moving picture become one part."""
    parts: list[ImagePart | VideoPart] = []
    for moving, group in itertools.groupby(images, key=lambda image: image.moving):
        if moving is None:
            parts += (ImagePart(image.data, image.media_type) for image in group)
        else:
            parts.append(VideoPart(tuple(image.data for image in group), moving[1]))
    return tuple(parts)


def _named(part: TextPart | ImagePart | VideoPart) -> list[str]:
    if isinstance(part, VideoPart):
        return ["video", str(part.fps), *(frame.decode() for frame in part.frames)]
    return ["text", part.text] if isinstance(part, TextPart) else ["image", part.data.decode()]


def generate(job: Job, shelf: Shelf, result: Generated) -> None:
    """Bring the store to hold an answer, or a failure be known, for every sample and repeat of the job.

    `result` is filled on the way, so that it says what was done even when this raises.
    """
    total = len(job.dataset) * job.config.sampling.repeats
    with Progress(job.name, total) as progress:
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

    def on_answer(ask: load.Ask, generation: Generation) -> None:
        generation = dataclasses.replace(generation, conditions=job.conditions)
        if generation.error is None:
            shelf.append(ask.key, job.conditions, generation)
            result.keys[ask.sample_id, ask.repeat] = ask.key
            result.fresh.add(ask.key)
        else:
            result.failures[ask.sample_id, ask.repeat] = generation
        progress.advance(failed=generation.error is not None)

    asks: Iterator[load.Ask] = itertools.chain([first], rest)
    try:
        progress.say("warming up")
        _warm_up(job, engine, first)
    except load.EngineGone:
        report = engine.crash_report()
        if not job.dataset.probes:
            raise JobFailed(f"the engine died while it was warmed up\n{report.message}") from None
        on_answer(first, Generation(first.key, None, report))
        asks = rest
    progress.say("asking")
    while (gone := _ask_until_gone(job, shelf, result, engine, asks, on_answer)) is not None:
        crash = engine.crash_report()
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
    on_answer: Callable[[load.Ask, Generation], None],
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


def _restarted(job: Job, result: Generated, progress: Progress, report: str, first: load.Ask) -> Fleet:
    """Start the engine of a job anew and warm it up, and say so: in the log, and in the notes of the job."""
    result.restarts += 1
    log.warning("%s: %s\n  it is started again; the finished answers are kept", job.name, report)
    result.notes.append(f"the engine died and was started again ({result.restarts}x): {report.splitlines()[0]}")
    engine, started = acquire(job, progress.say)
    result.started += started
    try:
        _warm_up(job, engine, first)
    except load.EngineGone:
        raise JobFailed(f"the engine died again while it was warmed up\n{engine.crash_report().message}") from None
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
        log.warning("%s: %d of %d warm-up requests failed: %s", job.name, len(failed), count, failed[0].message)


def _load(
    job: Job,
    engine: Fleet,
    asks: Iterator[load.Ask],
    tally: load.Tally,
    on_answer: Callable[[load.Ask, Generation], None],
    retries: int | None = None,
) -> None:
    asyncio.run(
        load.load(
            iter(asks),
            [dataclasses.replace(one, image_token=job.image_token) for one in engine.endpoints],
            tally,
            concurrency=job.config.concurrency,
            retries=job.config.backend.retries if retries is None else retries,
            timeout_s=job.config.backend.request_timeout_s,
            alive=engine.alive,
            on_answer=on_answer,
        )
    )
