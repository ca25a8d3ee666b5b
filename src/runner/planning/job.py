"""A job that was checked: its config, what was found and opened for it, and what it says of itself."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.api import Backend, EngineSpec, ImagePart, Message, Pixels, Sampling, VideoPart
from backends.ocr import OcrBackend
from metrics.api import Metric
from runner import store
from runner.config import Config
from runner.datasets.api import Dataset, Sample
from runner.planning import checkpoints, constraint_check, logprobs, unreachable
from runner.planning.arrivals import Arrivals
from runner.planning.capacity import Chosen, Search
from runner.prompts import Prompt, Rendered
from runner.prompts.ocr import Ocr

CYRILLIC = re.compile(r"[\u0400-\u04ff]")
# The built-in metrics to which JSON with boxes means something, or nothing at all.
_READ_BOXES = ("page", "grounding", "mws_grounding", "stored")


@dataclass(frozen=True)
class Job:
    """A checked job: its config and everything that was found and opened for it.

    `identity` is what decides the text of an answer besides the request itself; `conditions` decide its timing.
    """

    config: Config
    spec: EngineSpec
    backend: Backend
    dataset: Dataset
    prompt: Prompt
    metrics: Mapping[str, Metric]
    identity: Mapping[str, Any]
    conditions: Mapping[str, str]
    ocr: Ocr | None = None  # what reads the text of the pages, where the prompt wants it
    arrivals: Arrivals | None = None  # when requests are due; None: a closed load
    capacity: Search | None = None  # how the highest rate is looked for, after all questions were asked
    chosen: Sequence[Chosen] | None = None  # with arrivals: which questions are asked; None: all in order
    apart: str = ""  # what tells it from the other jobs of its sweep, besides model and quant

    @property
    def name(self) -> str:
        """Return a short name for people."""
        adapter = f"+{Path(self.config.model.adapter).name}" if self.config.model.adapter else ""
        return f"{self.config.model.name}{adapter}-{self.config.quant.name}"

    @property
    def title(self) -> str:
        """Return its name with what tells it from the other jobs of its sweep: for lines that people read."""
        return f"{self.name} {self.apart}".rstrip()

    @property
    def digest(self) -> str:
        """Name this job by what it asks and whom: a rerun of it has the same, under whatever conditions."""
        config = self.config
        parts = [dict(self.identity), self.prompt.digest, self.dataset.digest(), config.sampling.repeats]
        parts += [self.ocr.name] if self.ocr else []
        if config.dataset.region is not None:  # the same questions about less of the page
            parts += [config.dataset.region, config.dataset.region_margin]
        return store.digest([*parts, dataclasses.asdict(self.sampling(0))])

    @property
    def questions(self) -> int:
        """Return how many questions are asked: every repeat of all samples, or as many as an open load sends."""
        return self.arrivals.count if self.arrivals else len(self.dataset) * self.config.sampling.repeats

    @property
    def image_token(self) -> int | None:
        """Return the id that stands for a piece of a picture in this model's prompts, where it is known."""
        return checkpoints.image_token(self.spec.checkpoint, self.spec.revision)

    @property
    def pixels(self) -> Pixels:
        """Return the bounds on an image's area that are sent with each request."""
        return Pixels(self.config.model.min_pixels, self.config.model.max_pixels)

    def rendered(self, sample: Sample) -> Rendered:
        """Return the prompt of a sample. Raise PromptError, or BadImage if OCR fails."""
        return self.prompt.render(sample, self.ocr.text(sample.images) if self.ocr else None)

    @property
    def response_schema(self) -> Mapping[str, Any] | None:
        """Return the schema that the engine is held to; None where it is not."""
        schema = self.prompt.schema
        return schema.content if schema is not None and schema.is_enforced else None

    @property
    def logprobs(self) -> bool:
        """Whether the log-probabilities of the answers' tokens are asked for."""
        return logprobs.asked(self.config)

    def messages(self, prompt: Rendered, images: tuple[ImagePart | VideoPart, ...]) -> tuple[Message, ...]:
        """Return the chat turns of a rendered prompt with these pictures."""
        return prompt.turns(images if self.config.model.images else ())

    def sampling(self, repeat: int) -> Sampling:
        """Return the sampling of one repeat: its seed is the configured one plus the repeat's number."""
        given = self.config.sampling
        return Sampling(
            temperature=given.temperature,
            top_p=given.top_p,
            top_k=given.top_k,
            repetition_penalty=given.repetition_penalty,
            max_tokens=given.max_tokens,
            stop=tuple(given.stop),
            seed=None if given.seed is None else given.seed + repeat,
        )

    @property
    def gives_whole_pages(self) -> bool:
        """Whether each answer is the text of a whole page, whatever was asked."""
        return isinstance(self.backend, OcrBackend) and self.config.dataset.region is None

    def reading_notes(self) -> list[str]:
        """Return what a reader of this job's figures should know of how its questions were put."""
        notes = []
        if (schema := self.prompt.schema) is not None and not schema.is_told:
            notes.append("no prompt tells the schema: prompt.schema_template has no {{ schema }}")
        notes += constraint_check.notes(self.config, self.prompt)
        notes += unreachable.notes(self.config, self.prompt, self.dataset)
        if not isinstance(self.backend, OcrBackend):
            return notes
        notes.append(self._whole_pages())
        if lacks := self.backend.lacks_cyrillic(self.spec):
            with_references = [sample for sample in self.dataset if sample.references]
            cyrillic = sum(any(map(CYRILLIC.search, sample.references)) for sample in with_references)
            if cyrillic:
                sentence = (
                    f"{cyrillic} of {len(with_references)} samples have references with Cyrillic letters, which it "
                )
                notes.append(f"{sentence}can't write: {lacks}")
        return notes

    def _whole_pages(self) -> str:
        """Say what an OCR program's answers are, and which of the metrics don't read them so."""
        said = "an OCR program reads pictures and no prompts: neither prompt nor sampling had a say, each answer is"
        assert isinstance(self.backend, OcrBackend)
        if self.backend.options(self.spec)[1].get("boxes", "none") == "none":
            return f"{said} the whole text of the sample's pictures; metrics=[found] measures that (docs/engines.md)"
        said = f"{said} what stands on the page and where, as JSON"
        others = [name for name in self.config.metrics if name not in _READ_BOXES]
        return f"{said}, which {', '.join(others)} can't read: leave boxes out for such metrics" if others else said
