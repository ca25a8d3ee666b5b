"""The keys of conf/model/*.yaml and conf/quant/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from runner.config.values import one_of, within

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class ModelConfig:
    """A model: where its checkpoints are and what is needed to run it. One file in conf/model/."""

    name: str = MISSING
    # quantisation -> folder or hub name, `name@revision` to pin one
    checkpoints: dict[str, str] = field(default_factory=dict)
    # a folder or hub name to use instead of `checkpoints`, whatever `quant` says of its dtype
    path: str | None = None
    revision: str | None = None  # a hub's commit, beside model.path
    licence: str = MISSING  # as the model's card names it
    backends: list[str] = field(default_factory=list)  # that can run it; empty: all
    images: bool = True  # false: it takes text alone, so pages are read by OCR (prompt.ocr)
    unsupported: str | None = None  # why no backend can: the model is refused with it
    engine_args: dict[str, dict[str, Any]] = field(default_factory=dict)  # backend -> flags it needs for this model
    family: str = "auto"  # how the HF engine prepares its inputs
    min_pixels: int | None = within(None, 1)  # area an image is resized to; null: what the checkpoint says
    max_pixels: int | None = within(None, 1)
    env: dict[str, str] = field(default_factory=dict)  # backend -> environment, where it needs its own
    weights: str = one_of(
        "real", "real", "dummy"
    )  # dummy: the true architecture with random weights, for speed and memory
    architecture: str | None = None  # a folder with config.json, for weights=dummy without a download
    config_override: dict[str, Any] = field(default_factory=dict)  # laid over config.json; with dummy weights only
    threads: int | None = within(None, 1, 4096)  # CPU threads that suit it; backend.threads wins
    adapter: str | None = None  # folder of a LoRA adapter
    trust_remote_code: bool = False  # whether code that comes with the checkpoint is run
    why_remote_code: str | None = None  # said in the file where the above is true


@dataclass
class QuantConfig:
    """A quantisation: which of a model's checkpoints it needs, and how that is loaded. One file in conf/quant/."""

    name: str = MISSING
    checkpoint: list[str] = field(default_factory=list)  # names in model.checkpoints; the first that exists is used
    dtype: str = one_of("auto", *DTYPES)  # of activations and unquantised weights; auto: the checkpoint's own
    quantization: str = one_of("none", "none", "bnb_int8", "bnb_nf4")  # done while loading: none, bnb_int8, bnb_nf4
    dummy: bool = False  # whether model.weights=dummy can stand in for it
    env: dict[str, str] = field(
        default_factory=dict
    )  # backend -> environment that can load it, where the model names none
