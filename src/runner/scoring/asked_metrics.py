"""The metrics that `stage=score` asks for, with options that refer to keys of the job whose answers are scored.

conf/metrics has `adapters: ${model.output_adapters}`: what the model of the *job* writes, and not the model that the
command happens to compose. What the command line names wins.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from runner.config import Config

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")  # of a key; `${oc.env:NAME}` and `${.sibling}` are none
_ABSENT = object()


def for_job(command: DictConfig, job: DictConfig) -> DictConfig:
    """Return the command's metrics, not yet resolved, within the config of a job that answers what they refer to."""
    cfg, defaults = copy.deepcopy(job), OmegaConf.structured(Config)
    raw = OmegaConf.to_container(command.metrics, resolve=False)
    for key in sorted(_references(raw)):
        sources = (command, job, defaults) if is_given(key) else (job, defaults, command)  # an old job lacks new keys
        values = (OmegaConf.select(source, key, default=_ABSENT) for source in sources)
        value = next((value for value in values if value is not _ABSENT), _ABSENT)
        if value is not _ABSENT:
            plain = OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            OmegaConf.update(cfg, key, plain, merge=False, force_add=True)
    with open_dict(cfg):
        cfg.metrics = raw
    metrics = cfg.metrics
    assert isinstance(metrics, DictConfig)
    return metrics


def is_meant(command: DictConfig | None, name: str, before: Any, now: Any) -> bool:
    """Say whether the command line changes a metric's options: by their names, or by a key that one refers to."""
    if given_on_command_line(f"metrics.{name}"):
        return True
    if command is None or name not in command.metrics or before == now:
        return False
    metrics = OmegaConf.to_container(command.metrics, resolve=False)
    assert isinstance(metrics, dict)
    return any(map(is_given, _references(metrics[name])))


def given_on_command_line(key: str) -> bool:
    """Say whether the command line names a key, or something below it."""
    return any(name == key or name.startswith(f"{key}.") for name in _named())


def is_given(key: str) -> bool:
    """Say whether the command line sets a key: itself, something below it, or the group that it belongs to."""
    return given_on_command_line(key) or any(key.startswith(f"{name}.") for name in _named())


def _named() -> list[str]:
    return [override.lstrip("+~").partition("=")[0] for override in HydraConfig.get().overrides.task]


def _references(part: Any) -> set[str]:
    if isinstance(part, str):
        return set(_REFERENCE.findall(part))
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return {key for item in inner for key in _references(item)}
