"""Parses and checks the server's command line. Standard library only."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEY_VARIABLE = "RUNNER_ENGINE_KEY"


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's settings. A field is named like its flag; `api_key` is read from `RUNNER_ENGINE_KEY`."""

    model: str
    port: int
    revision: str | None = None
    host: str = "127.0.0.1"
    served_model_name: str = "model"
    dtype: str = "auto"
    attention: str = "sdpa"
    device: str = "auto"
    batch_size: int = 1
    min_pixels: int | None = None
    max_pixels: int | None = None
    weights: str = "real"
    config_override: Mapping[str, Any] = field(default_factory=dict)
    quantization: str = "none"
    adapter: str | None = None
    trust_remote_code: bool = False
    threads: int | None = None
    memory_limit_gib: float | None = None
    family: str = "auto"
    ocr_languages: str = "rus+eng"
    api_key: str = field(default="", repr=False)

    @property
    def is_folder(self) -> bool:
        """Whether `model` is a folder on this machine rather than a name on a hub."""
        return Path(self.model).is_dir()


def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Parse the command line. If it is wrong, argparse prints the usage and exits with code 2."""
    parser = _parser()
    values = vars(parser.parse_args(arguments))
    low, high = values["min_pixels"], values["max_pixels"]
    if low is not None and high is not None and low > high:
        parser.error(f"--min-pixels {low} is larger than --max-pixels {high}")
    return Settings(**values, api_key=os.environ.get(KEY_VARIABLE, ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backends.hf_server", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--model", required=True, help="a checkpoint folder or a hub name")
    add("--port", required=True, type=_port)
    add("--revision", help="hub revision: a commit, tag or branch")
    add("--host", default="127.0.0.1")
    add("--served-model-name", default="model", help="the name that requests use")
    add("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"], help="auto: the checkpoint's")
    add("--attention", default="sdpa", choices=["sdpa", "eager", "flash_attention_2"])
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N; auto takes a GPU if there is one")
    add("--batch-size", default=1, type=_positive, help="largest number of requests in a batch")
    add("--min-pixels", type=_positive, help="smallest image area in pixels after resizing")
    add("--max-pixels", type=_positive, help="largest image area in pixels after resizing")
    add("--weights", default="real", choices=["real", "dummy"], help="dummy: random weights from config.json alone")
    add(
        "--config-override",
        default={},
        type=_mapping,
        metavar="JSON",
        help="replaces keys of the model's configuration",
    )
    add("--quantization", default="none", choices=["none", "bnb_int8", "bnb_nf4"], help="quantise while loading")
    add("--adapter", help="a LoRA adapter (needs peft)")
    add("--trust-remote-code", action="store_true", help="run Python code that comes with the checkpoint")
    add("--threads", type=_positive, help="CPU threads of torch")
    add("--memory-limit-gib", type=_gib, help="limit for the memory of the GPU, or of the process on a CPU")
    add("--family", default="auto", help="how inputs are prepared; auto derives it from the configuration")
    add("--ocr-languages", default="rus+eng", help="languages of tesseract, for families that read pages with it")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive integer")
    return value


def _gib(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of GiB")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 < value < 65536:
        raise argparse.ArgumentTypeError(f"{value} is not a port (1 - 65535)")
    return value


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, got {text!r}")
    return value
