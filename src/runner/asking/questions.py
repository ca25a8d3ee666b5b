"""The questions of a job: which must be asked, under which name, and how each fared."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from backends.api import Failure, Generation, GenerationRequest, ImagePart, Pixels, TextPart, VideoPart
from runner import store
from runner.asking import largest_input, load
from runner.asking.ask_all import Starts, too_many
from runner.asking.rate_limit import RateLimit
from runner.base.errors import JobFailed
from runner.base.progress import Progress
from runner.datasets.api import Sample
from runner.datasets.encoded import BadImage, EncodedImage
from runner.datasets.images import as_png, read_images
from runner.planning.job import Job
from runner.prompts import PromptError, Rendered
from runner.store import Shelf

Question = tuple[str, int]  # sample id, repeat
LOWERINGS = 3  # of a picture's area by half, until memory suffices: down to an eighth


@dataclass
class Generated(Starts):
    """What the stage leaves: where each answer is stored, which failed, and what was measured on the way.

    `measured` is None where nothing was asked anew and nothing fitting was measured before. `timed` is false where
    answers were taken over that were made under other conditions: then no figure of speed or memory is reported.
    `allowed` is how many may fail before the job ends; None for any number.
    """

    keys: dict[Question, str] = field(default_factory=dict)
    failures: dict[Question, Generation] = field(default_factory=dict)
    # Two rows may ask the same: the second takes the first one's answer, which doesn't make it an old one.
    fresh: set[str] = field(default_factory=set)
    reused: int = 0
    total: int = 0
    allowed: float | None = None
    timed: bool = True
    measured: dict[str, Any] | None = None
    remarks: dict[str, dict[str, None]] = field(default_factory=dict)  # on pictures: what -> which, each once
    log_paths: tuple[Path, ...] = ()
    rate_limit: RateLimit | None = None  # what was learned of the endpoint's limit, where that is adapted to

    def fail(self, question: Question, generation: Generation) -> None:
        """Keep a failure. Raise JobFailed where it is one too many, or says that none will be answered."""
        self.failures[question] = generation
        error, count = generation.error, len(self.failures)
        assert error is not None
        if error.kind == "unauthorised" and not self.keys:
            raise JobFailed(f"the endpoint does not let us in: {error.message}")
        if too_many(self.allowed, count, self.total):
            first = next(iter(self.failures.values())).error
            assert first is not None
            raise JobFailed(
                f"{count} of {self.total} answers failed, more than max_failed allows: the job was ended early. "
                f"The first: {first.kind}: {first.message}"
            )


class Keep(Protocol):
    """Takes an answer or a failure, with the question's place among those of the job and its prompt as it was sent."""

    def __call__(self, place: int, sample: Sample, repeat: int, generation: Generation, prompt: str | None, /) -> None:
        """Keep it. May be called from several threads."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a job: its place among them, and its prompt, rendered once for all that is done with it.

    `prompt` is why there is none where it could not be rendered.
    """

    place: int
    sample: Sample
    repeat: int
    prompt: Rendered | BadImage | PromptError

    @property
    def name(self) -> Question:
        """Return what names it."""
        return self.sample.id, self.repeat

    def rendered(self) -> Rendered:
        """Return its prompt. Raise BadImage or PromptError where there is none."""
        if isinstance(self.prompt, Rendered):
            return self.prompt
        raise self.prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAsk(load.Ask):
    """A question to ask, and what it is asked about."""

    asked: Asked


class Questions:
    """Walks the samples of a job lazily and yields what must be asked; keeps account of the rest."""

    def __init__(self, job: Job, shelf: Shelf, result: Generated, progress: Progress, keep: Keep | None = None) -> None:
        """Prepare the walk; nothing is read yet. `keep` takes each answer and each failure once."""
        self.job, self.shelf, self.result, self.progress, self._keep = job, shelf, result, progress, keep
        # Neighbouring questions are about the same pictures: keep the last few instead of reading them again.
        self._read = functools.lru_cache(maxsize=4)(read_images)
        self._identity = functools.cache(functools.partial(_identity, job))
        self._sampling = functools.cache(functools.partial(_sampling, job))
        self._may_lower = job.config.backend.oom_policy == "reduce_pixels"

    def missing(self) -> Iterator[JobAsk]:
        """Yield the questions that have no stored answer under the job's `reuse` rule."""
        if self.job.dataset.is_search:
            yield from self._searched()
            return
        for asked in itertools.islice(self._in_order(), self.job.questions):
            if self.job.dataset.probes and any(
                largest_input.is_limit(generation.error) for generation in self.result.failures.values()
            ):
                return  # the others are as large
            if (ask := self._ask(asked)) is not None:
                yield ask

    def _in_order(self) -> Iterator[Asked]:
        """Yield all questions. An open load asks about all samples before it asks about one of them again."""
        repeats = self.job.config.sampling.repeats
        if (chosen := self.job.chosen) is not None:
            wanted = {number for number, _ in chosen}
            samples = {number: sample for number, sample in enumerate(self.job.dataset) if number in wanted}
            for place, (number, repeat) in enumerate(chosen):
                yield Asked(place, samples[number], repeat, self._rendered(samples[number]))
            return
        if self.job.arrivals is not None:
            for repeat in range(repeats):
                for number, sample in enumerate(self.job.dataset):
                    yield Asked(number * repeats + repeat, sample, repeat, self._rendered(sample))
            return
        for number, sample in enumerate(self.job.dataset):
            prompt = self._rendered(sample)
            for repeat in range(repeats):
                yield Asked(number * repeats + repeat, sample, repeat, prompt)

    def _searched(self) -> Iterator[JobAsk]:
        """Yield the questions of a search for the largest sample that is answered; each waits for the one before."""
        samples = tuple(self.job.dataset)
        search = largest_input.search(len(samples))
        index = next(search)
        while True:
            sample = samples[index]
            if (ask := self._ask(Asked(index, sample, 0, self._rendered(sample)))) is not None:
                yield ask
            try:
                index = search.send((sample.id, 0) in self.result.keys)
            except StopIteration:
                return

    def _rendered(self, sample: Sample) -> Rendered | BadImage | PromptError:
        try:
            return self.job.rendered(sample)
        except (BadImage, PromptError) as error:
            return error

    def _ask(self, asked: Asked) -> JobAsk | None:
        try:
            images = self._read(asked.sample.images)
            for remark in (line for image in images for line in image.remarks):
                self.result.remarks.setdefault(remark.what, {})[remark.where] = None
            key = self._key(asked, images)
        except (BadImage, PromptError) as error:
            failure = Failure("bad_input", str(error))
            self.progress.advance(failed=True)
            self.fail(asked, Generation(f"{asked.sample.id}#{asked.repeat}", None, failure))
            return None
        if self._is_done(asked, key):
            return None
        named = tuple(image.digest for image in images)
        build = functools.partial(self.request, asked, key, named, self.job.pixels)
        area = max((image.width * image.height for image in images), default=0)
        lower = functools.partial(self.lowered, asked, min(area, self.job.pixels.max_pixels or area), 1)
        return JobAsk(key, *asked.name, build, lower=lower if self._may_lower else None, asked=asked)

    def lowered(self, asked: Asked, pixels: int, times: int) -> JobAsk | None:
        """Return a question that memory ran out at with half the pixels; None where that is stored, or no help."""
        pixels //= 2
        if times > LOWERINGS or pixels < max(self.job.pixels.min_pixels or 1, 1):
            return None
        limits = dataclasses.replace(self.job.pixels, max_pixels=pixels)
        try:
            images = self._read(asked.sample.images)
            key = self._key(asked, images, limits)
        except (BadImage, PromptError):
            return None  # the failure that is known already stands
        if self._is_done(asked, key):
            return None
        named = tuple(image.digest for image in images)
        build = functools.partial(self.request, asked, key, named, limits)
        lower = functools.partial(self.lowered, asked, pixels, times + 1)
        return JobAsk(key, *asked.name, build, max_pixels=pixels, lower=lower, asked=asked)

    def answer(self, asked: Asked, key: str, generation: Generation) -> None:
        """Take over an answer that is in the store."""
        self.keep(asked, generation)
        self.result.keys[asked.name] = key

    def fail(self, asked: Asked, generation: Generation) -> None:
        """Take over a failure. Raise JobFailed where it is one too many."""
        self.keep(asked, generation)
        self.result.fail(asked.name, generation)

    def keep(self, asked: Asked, generation: Generation) -> None:
        """Hand an answer or a failure over, with its prompt where there is one."""
        if self._keep is None:
            return
        prompt = asked.prompt.text if isinstance(asked.prompt, Rendered) else None
        self._keep(asked.place, asked.sample, asked.repeat, generation, prompt)

    def pictures(self, sample: Sample) -> tuple[EncodedImage, ...]:
        """Return the pictures of a sample as they are sent. Raise BadImage."""
        return self._read(sample.images)

    def _is_done(self, asked: Asked, key: str) -> bool:
        """Take over what is stored under `key`, and say whether there was something."""
        if (generation := self._stored(key)) is None:
            return False
        self.answer(asked, key, generation)
        self.result.reused += key not in self.result.fresh
        self.progress.advance()
        return True

    def _stored(self, key: str) -> Generation | None:
        """Return the stored answer that the job's `reuse` rule allows."""
        reuse = self.job.config.reuse
        if reuse == "never" and key not in self.result.fresh:
            return None
        generation = self.shelf.find(key, self.job.conditions)
        if generation is None and reuse == "answers":
            generation = self.shelf.find(key, None)
            if generation is not None:
                self.result.timed = False
        return generation

    def _key(self, asked: Asked, images: tuple[EncodedImage, ...], pixels: Pixels | None = None) -> str:
        """Name everything that decides the text of this answer."""
        parts = parts_of(dataclasses.replace(image, data=image.digest.encode()) for image in images)
        messages = [
            [message.role, *(_named(part) for part in message.parts)]
            for message in self.job.messages(asked.rendered(), parts)
        ]
        # The digest of [identity, messages, sampling], of which the messages alone differ from sample to sample.
        identity, sampling = self._identity(pixels), self._sampling(asked.repeat)
        return store.digest_of_json(f"[{identity}, {store.as_json(messages)}, {sampling}]")

    def request(self, asked: Asked, key: str, named: tuple[str, ...], pixels: Pixels) -> GenerationRequest:
        """Read the pictures, whose digests are part of `key`, and make the request. Raises BadImage."""
        images = self._read(asked.sample.images)
        if tuple(image.digest for image in images) != named:
            # Stored under this key, the answer would later be taken for one about the earlier picture.
            names = ", ".join(str(image.path) for image in asked.sample.images)
            raise BadImage(f"{names}: changed while the job ran; start it again")
        unread = getattr(self.job.backend, "unread", ())
        images = tuple(as_png(image) if image.media_type in unread else image for image in images)
        return GenerationRequest(
            key=key,
            messages=self.job.messages(asked.rendered(), parts_of(images)),
            sampling=self.job.sampling(asked.repeat),
            pixels=pixels,
            response_schema=self.job.response_schema,
            logprobs=self.job.logprobs,
        )


def asks_at_once(job: Job, shelf: Shelf) -> bool:
    """Say whether the first question of a job must be asked; False also where that is not known."""
    questions = Questions(job, shelf, Generated(), Progress(job.title, None, quiet=True))
    first = next(iter(job.dataset), None)
    if first is None or job.dataset.is_search:
        return False
    return questions._ask(Asked(0, first, 0, questions._rendered(first))) is not None


def parts_of(images: Iterable[EncodedImage]) -> tuple[ImagePart | VideoPart, ...]:
    """Return pictures as the parts of a message; neighbours that are frames of one moving picture become one part."""
    parts: list[ImagePart | VideoPart] = []
    for moving, group in itertools.groupby(images, key=lambda image: image.moving):
        if moving is None:
            parts += (ImagePart(image.data, image.media_type) for image in group)
        else:
            parts.append(VideoPart(tuple(image.data for image in group), moving[1]))
    return tuple(parts)


def _identity(job: Job, pixels: Pixels | None) -> str:
    """Return as JSON what decides the texts of all of a job's answers; `pixels` are limits in place of the job's."""
    identity = dict(job.identity)
    if pixels is not None:
        identity["pixels"] = [pixels.min_pixels, pixels.max_pixels]
    return store.as_json(identity)


def _sampling(job: Job, repeat: int) -> str:
    """Return as JSON how the tokens of a repeat are drawn."""
    sampling = dataclasses.asdict(job.sampling(repeat))
    if sampling["seed"] is None:
        sampling["repeat"] = repeat
    return store.as_json(sampling)


def _named(part: TextPart | ImagePart | VideoPart) -> list[str]:
    if isinstance(part, VideoPart):
        return ["video", str(part.fps), *(frame.decode() for frame in part.frames)]
    return ["text", part.text] if isinstance(part, TextPart) else ["image", part.data.decode()]
