"""Writes the files of a job's folder: whole or not at all, and without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from backends.redaction import redact

# As conf/config.yaml says it.
SUBDIR = "${hydra.job.num}_${model.name}-${quant.name}-${dataset.name}"
LONGEST = 80  # characters of what is added to it
LONGEST_LOG_BYTES = 5 * 2**20


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file; who is interrupted leaves the earlier one."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")


def write_config(path: Path, cfg: DictConfig, *, new: bool = False) -> None:
    """Write a config, unresolved: a secret stays the name of an environment variable.

    Raise FileExistsError for one that should be `new` and is there.
    """
    text = OmegaConf.to_yaml(cfg)
    if new:
        with path.open("x", encoding="utf-8") as file:
            file.write(redact(text))
    else:
        write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(redact(text), encoding="utf-8")
    beside.replace(path)


def copy_log(source: Path, target: Path) -> None:
    """Copy an engine's log; of an endless one, the end."""
    with source.open("rb") as file:
        cut = source.stat().st_size > LONGEST_LOG_BYTES
        if cut:
            file.seek(-LONGEST_LOG_BYTES, 2)
        text = file.read(LONGEST_LOG_BYTES).decode("utf-8", "replace")
    write_text(target, ("(the beginning was cut)\n" if cut else "") + text)


def subdir(apart: str) -> str:
    """Return the name of a job's folder in a sweep, in Hydra's words, with what tells it from the other jobs."""
    slug = re.sub(r"[^\w.+-]+", "_", redact(apart))[:LONGEST].strip("_.-")
    return f"{SUBDIR}-{slug}" if slug else SUBDIR


def apart(name: str, cfg: DictConfig) -> str:
    """Return what the name of a job's folder says besides number, model, quant and dataset."""
    common = re.escape(f"{cfg.model.name}-{cfg.quant.name}-{cfg.dataset.name}")
    match = re.fullmatch(rf"\d+_{common}-(.+)", name)
    return match[1] if match else ""
