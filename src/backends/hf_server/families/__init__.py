"""Families of checkpoints. Each module is one way of preparing a model's inputs; no model has its own module.

A family is chosen by name (`--family`) or, with `auto`, by the checkpoint's configuration. To add a family, write a
module with a class like `ChatImageText` and add a line to `FAMILIES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from backends.chat_server.errors import LoadError
from backends.chat_server.protocol import ChatRequest, Pixels, Sampling
from backends.hf_server.configuration import model_type
from backends.hf_server.settings import Settings

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as inputs of the model: tensors on the CPU with a leading batch dimension of one."""

    inputs: Mapping[str, Any]
    prompt: str
    images: tuple[Image.Image, ...]
    pixels: Pixels
    prompt_tokens: int
    image_tokens: int
    image_sizes: tuple[tuple[int, int], ...]  # (width, height) in pixels as the model sees them; empty if unknown

    @property
    def prompt_ids(self) -> list[int] | None:
        """The prompt's token ids, including those of images; None if the model takes no tokens."""
        ids = self.inputs.get("input_ids")
        return None if ids is None else [int(token) for token in ids[0].tolist()]


class Family(Protocol):
    """The interface of a family. `prepare` runs outside the model thread, `collate` in it."""

    name: str
    takes_images: bool
    tokenizer: Any

    def __init__(self, settings: Settings, config: Any) -> None:
        """Load tokenizer and processor. Raise LoadError."""

    @staticmethod
    def model_class() -> Any:
        """Return the transformers class whose `from_pretrained` and `from_config` build the model."""

    def prepare(self, request: ChatRequest) -> Prepared:
        """Render the prompt, decode the images, tokenise. Raise RequestError."""
        ...

    def batch_key(self, prepared: Prepared) -> Hashable:
        """Return a key that must be equal for two requests to share a batch."""

    def collate(self, batch: Sequence[Prepared]) -> dict[str, Any]:
        """Join requests into the arguments of `generate`: (batch, tokens), padded on the left."""
        ...


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """The whole answer of a family that gives no single tokens. `tokens` is their number; None if it is not known."""

    text: str
    tokens: int | None


@runtime_checkable
class DirectFamily(Family, Protocol):
    """A family that computes answers itself instead of by `generate`."""

    def answer(self, model: Any, prepared: Prepared, sampling: Sampling) -> DirectAnswer:
        """Return the answer to one request. Runs in the model thread."""
        ...


FAMILIES: Mapping[str, str] = {
    "chat_text": "backends.hf_server.families.chat_text:ChatText",
    "document_qa": "backends.hf_server.families.document_qa:DocumentQA",
    "own_query": "backends.hf_server.families.own_query:OwnQuery",
    "chat_image_text": "backends.hf_server.families.chat_image_text:ChatImageText",
}

# (transformers' table of model types, its auto class) -> family; the first table that contains a model decides.
BY_AUTO_CLASS: Mapping[tuple[str, str], str] = {
    ("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", "AutoModelForImageTextToText"): "chat_image_text",
    ("MODEL_FOR_DOCUMENT_QUESTION_ANSWERING_MAPPING_NAMES", "AutoModelForDocumentQuestionAnswering"): "document_qa",
    ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "AutoModelForCausalLM"): "chat_text",
}


def family_class(name: str, config: Any) -> type[Family]:
    """Return the family of that name; with `auto`, the family that fits a model's configuration."""
    chosen = _by_configuration(config) if name == "auto" else name
    if chosen not in FAMILIES:
        raise LoadError(f"--family {name}: unknown; known are auto, {', '.join(FAMILIES)}")
    module, _, attribute = FAMILIES[chosen].partition(":")
    family: type[Family] = getattr(importlib.import_module(module), attribute)
    return family


def _by_configuration(config: Any) -> str:
    from transformers.models.auto import modeling_auto

    remote = getattr(config, "auto_map", None) or {}
    kind = model_type(config)
    for auto, family in BY_AUTO_CLASS.items():
        mapping, class_name = auto
        if kind in getattr(modeling_auto, mapping, {}) or class_name in remote:
            return family
    raise LoadError(
        f"model type {kind!r} is not one that transformers serves as a chat with pictures or text; "
        f"name the way it is fed with --family ({', '.join(FAMILIES)})"
    )
