"""The keys of conf/model/*.yaml and conf/quant/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from runner.config.values import one_of, within

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class PriceConfig:
    """What a model's tokens cost at its endpoint, in USD for a million of them; null: not known."""

    input_usd: float | None = within(None, 0)
    output_usd: float | None = within(None, 0)  # of answers; tokens of reasoning are a part of them
    cached_usd: float | None = within(None, 0)  # input that the endpoint found in its cache; null: as other input
    image_tokens: int | None = within(None, 0)  # the most that one picture takes, to keep a budget and for forecasts
    date: str | None = None  # when the price was looked up
    source: str | None = None  # where


@dataclass
class ModelConfig:
    """A model: where its checkpoints are and what is needed to run it. Each file in conf/model/ sets these keys."""

    name: str = MISSING
    # quantisation -> folder or hub name; `name@revision` pins a revision
    checkpoints: dict[str, str] = field(default_factory=dict)
    # a folder or hub name that is used instead of `checkpoints`, for every quantisation
    path: str | None = None
    revision: str | None = None  # the commit at the hub of model.path
    licence: str = MISSING  # as the model's card names it
    backends: list[str] = field(default_factory=list)  # the backends that can run the model; empty: all
    # how requests differ: our name of a setting -> the endpoint's name, or null to leave it out; other names are added
    request: dict[str, Any] = field(default_factory=dict)
    # the same by the model's name at an OpenAI endpoint: pattern -> request; the first that fits counts, `request` wins
    request_by_name: dict[str, dict[str, Any]] = field(default_factory=dict)
    # word of sampling.thinking -> what is then sent, as in `request`; `budget`: for a number, which stands for BUDGET
    thinking: dict[str, dict[str, Any]] = field(default_factory=dict)
    thinking_by_name: dict[str, dict[str, Any]] = field(default_factory=dict)  # by names, as in `request_by_name`
    price: PriceConfig = field(default_factory=PriceConfig)
    images: bool = True  # false: the model takes only text, so pages are read by OCR (prompt.ocr)
    unsupported: str | None = None  # the reason why no backend can run the model; the job is refused with it
    engine_args: dict[str, dict[str, Any]] = field(default_factory=dict)  # backend -> flags it needs for this model
    family: str = "auto"  # how the HF engine prepares the model's inputs
    min_pixels: int | None = within(None, 1)  # a smaller image is enlarged to this area; null: the checkpoint's value
    max_pixels: int | None = within(None, 1)
    env: dict[str, str] = field(default_factory=dict)  # backend -> environment, if the model needs its own
    no_float16: dict[str, str] = field(
        default_factory=dict
    )  # backend -> why the model can't be computed in float16 there
    weights: str = one_of(
        "real", "real", "dummy"
    )  # dummy: the true architecture with random weights, to measure speed and memory
    architecture: str | None = None  # a folder with config.json, for weights=dummy without a download
    config_override: dict[str, Any] = field(default_factory=dict)  # replaces keys of config.json; needs weights=dummy
    threads: int | None = within(None, 1, 4096)  # CPU threads that suit the model; backend.threads wins
    # what the numbers of the model's boxes count: pixels of the picture, of the resized one, thousandths, shares
    box_frame: str = one_of("pixels", "pixels", "resized", "0-1000", "0-1")
    box_order: str = one_of("xyxy", "xyxy", "yxyx")  # of the corners of its boxes
    # what turns its pages into Markdown, in turn: doctags, otsl, layout_json, grounding_tags, entities,
    # front_matter
    output_adapters: list[str] = field(default_factory=list)
    adapter: str | None = None  # folder of a LoRA adapter
    trust_remote_code: bool = False  # true: Python code of the checkpoint is run
    why_remote_code: str | None = None  # the reason for trust_remote_code, where that is true


@dataclass
class QuantConfig:
    """A quantisation: which checkpoint of a model it needs, and how that is loaded. Each file in conf/quant/ is one."""

    name: str = MISSING
    checkpoint: list[str] = field(default_factory=list)  # names in model.checkpoints; the first that exists is used
    dtype: str = one_of("auto", *DTYPES)  # type of activations and unquantised weights; auto: the checkpoint's own
    # backend -> its type, where it is not `dtype`: a backend may compute such checkpoints in one type alone
    dtype_for: dict[str, str] = field(default_factory=dict)
    quantization: str = one_of(
        "none", "none", "bnb_int8", "bnb_nf4"
    )  # quantisation while loading: none, bnb_int8, bnb_nf4
    dummy: bool = False  # true: model.weights=dummy can be loaded in this quantisation
    env: dict[str, str] = field(
        default_factory=dict
    )  # backend -> environment that can load such a checkpoint, where the model names none
