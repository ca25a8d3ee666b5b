"""A prompt: the template for each sample, rendered into the turns of a chat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.api import ImagePart, Message, TextPart, VideoPart
from runner.base.errors import Problem
from runner.datasets import cells
from runner.datasets.api import Sample
from runner.prompts.ocr_template import OcrTemplate
from runner.prompts.schema import AnswerSchema
from runner.prompts.template import VARIABLES, PromptError, Template

Pair = tuple[str, str]  # (doc_class, field)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The prompt of one sample: its text, and the system text, which some models take in the user's turn."""

    text: str
    system: str | None = None
    system_role: str = "system"

    def turns(self, images: tuple[ImagePart | VideoPart, ...]) -> tuple[Message, ...]:
        """Return the turns of the chat: system text, then the images in order and the text after them."""
        text, system = self.text, self.system
        if system is not None and self.system_role == "user":
            text, system = f"{system}\n\n{text}", None
        user = Message("user", (*images, TextPart(text)))
        return (Message("system", (TextPart(system),)), user) if system is not None else (user,)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One template for all samples, or a collection of templates by (doc_class, field).

    `joined` are the templates of a CSV collection, whose key is doc_class and field joined by a space. Such a key can't
    be split, because both parts may contain spaces. So the dataset's pairs are joined in the same way and compared.
    """

    name: str
    version: str
    where: str
    template: Template | None = None
    pairs: Mapping[Pair, Template] = field(default_factory=dict)
    joined: Mapping[str, Template] = field(default_factory=dict)
    default: Template | None = None
    system: Template | None = None
    system_role: str = "system"
    ocr_template: OcrTemplate | None = None  # joins the prompt and the OCR text of the pages; None: no OCR
    schema: AnswerSchema | None = None  # what answers are to follow

    def find(self, sample: Sample) -> Template | None:
        """Return the template for a sample; None if the collection has none."""
        if self.template is not None:
            return self.template
        own = self.pairs.get((sample.doc_class, sample.field)) or self.joined.get(join(sample.doc_class, sample.field))
        return own or self.default

    def render(self, sample: Sample, ocr: str | None = None) -> Rendered:
        """Render the prompt of a sample. Raise PromptError if it can't be rendered.

        `ocr` is the OCR text of the sample's pages, if the prompt uses it.
        """
        template = self.find(sample)
        if template is None:
            raise PromptError(f"sample {sample.id!r}: no prompt for {_named((sample.doc_class, sample.field))}")
        text = template.render(sample)
        if self.ocr_template is not None:
            text = self.ocr_template.render(text, ocr or "")
        if self.schema is not None:
            text = self.schema.render(text)
        return Rendered(text, self.system.render(sample) if self.system is not None else None, self.system_role)

    @property
    def identity(self) -> dict[str, str]:
        """What the prompt decides of an answer besides its messages: the schema that the engine is held to."""
        schema = self.schema
        return {"response_schema": schema.digest} if schema is not None and schema.is_enforced else {}

    @property
    def digest(self) -> str:
        """A hash of the content, name and version of the prompt."""
        content: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "template": _content(self.template),
            "pairs": sorted((*pair, *_content(template)) for pair, template in self.pairs.items()),
            "joined": sorted((key, *_content(template)) for key, template in self.joined.items()),
            "default": _content(self.default),
            "system": [*_content(self.system), self.system_role] if self.system else [],
        }
        if self.ocr_template is not None:
            content["ocr"] = self.ocr_template.text
        if self.schema is not None:
            content["schema"] = [self.schema.text, self.schema.template, self.schema.is_enforced]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def check(self, samples: Iterable[Sample]) -> list[Problem]:
        """Return the problems that prevent this prompt from being rendered for these samples.

        Each template is rendered once for each set of variables that a sample has, instead of once for each sample.
        """
        missing: dict[Pair, None] = {}
        keys: dict[str, set[Pair]] = {}
        kinds: dict[tuple[Template, tuple[bool, ...]], tuple[Sample, int]] = {}
        for sample in samples:
            pair = (sample.doc_class, sample.field)
            template = self.find(sample)
            if template is None:
                missing[pair] = None
                continue
            if self.joined and pair not in self.pairs:
                keys.setdefault(join(*pair), set()).add(pair)
            has = tuple(bool(getattr(sample, name).strip()) for name in VARIABLES)
            for used in (template, self.system) if self.system else (template,):
                first, count = kinds.get((used, has), (sample, 0))
                kinds[used, has] = first, count + 1
        problems = [self._missing(list(missing))] if missing else []
        tried = (_try(template, first, count) for (template, _), (first, count) in kinds.items())
        return [*problems, *self._ambiguous(keys), *(problem for problem in tried if problem)]

    def _missing(self, pairs: list[Pair]) -> Problem:
        """Return the problem of pairs that have no prompt."""
        if pairs == [("", "")]:
            what = "this is a collection by (doc_class, field), and the dataset has neither"
            return Problem(what, self.where, "use one template (prompt=plain), or give prompt.default=...")
        known = [*map(_named, self.pairs), *self.joined]
        shown = "; ".join(known[:30]) + ("; ..." if len(known) > 30 else "")
        what = f"no prompt for {len(pairs)} (doc_class, field) of the dataset: {'; '.join(map(_named, pairs))}"
        return Problem(what, self.where, f"add them, or give prompt.default=...; the collection has: {shown}")

    def _ambiguous(self, keys: Mapping[str, set[Pair]]) -> Iterator[Problem]:
        """Yield a problem for each key of a CSV collection that matches several pairs of the dataset."""
        for key, pairs in keys.items():
            if len(pairs) > 1 and key in self.joined:
                what = f"{key!r} may be any of: {'; '.join(map(_named, sorted(pairs)))}"
                yield Problem(what, self.joined[key].where, "write the collection as YAML, which keeps the two apart")


def join(doc_class: str, name: str) -> str:
    """Return the key that a CSV collection uses for a pair."""
    return cells.label(f"{doc_class} {name}")


def _named(pair: Pair) -> str:
    doc_class, name = pair
    return f"{doc_class or '(no doc_class)'} / {name or '(no field)'}"


def _content(template: Template | None) -> list[str]:
    return [template.text, "literal" if template.literal else "jinja"] if template else []


def _try(template: Template, sample: Sample, count: int) -> Problem | None:
    """Render a template with the first of `count` samples that have the same variables; return its problem."""
    try:
        template.render(sample)
    except PromptError as error:
        more = f" (and {count - 1} more samples)" if count > 1 else ""
        remedy = "the template can ask first: {% if context %}{{ context }}{% endif %}"
        if not sample.question.strip() and "has no question" in str(error):
            remedy = "set dataset.question=..., or use a prompt that asks by itself (prompt=describe)"
        return Problem(f"{error}{more}", template.where, remedy)
    return None
