"""The result of loading: a model that is ready to answer, and the facts about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from backends.hf_server.families import Family
from backends.hf_server.settings import Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device. `context_tokens` is the limit for prompt and answer together; None if it is not known."""

    settings: Settings
    model: Any
    family: Family
    device: torch.device
    dtype: torch.dtype
    eos_ids: tuple[int, ...]
    pad_id: int
    context_tokens: int | None
    load_s: float = 0.0
    steps_s: dict[str, float] = field(default_factory=dict)
