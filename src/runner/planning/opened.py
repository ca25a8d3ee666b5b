"""Datasets and prompts, opened once for all jobs of a sweep that use them."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from omegaconf import OmegaConf

from runner.base import paths
from runner.config.dataset import DatasetConfig
from runner.config.prompt import PromptConfig
from runner.datasets import open_dataset
from runner.datasets.api import Dataset
from runner.prompts import Prompt, load_prompt


def dataset(config: DatasetConfig) -> Dataset:
    """Open a dataset, or return it where it is open. Raise Refused with everything that is wrong with it."""
    return _dataset(_key(config), paths.root())


def prompt(config: PromptConfig) -> Prompt:
    """Read a prompt, or return it where it was read. Raise Refused with what is wrong with it."""
    return _prompt(_key(config), paths.root())


def forget() -> None:
    """Let go of what was opened."""
    _dataset.cache_clear()
    _prompt.cache_clear()


@functools.lru_cache(maxsize=8)
def _dataset(config: str, root: Path) -> Dataset:
    return open_dataset(DatasetConfig(**json.loads(config)), root)


@functools.lru_cache(maxsize=64)
def _prompt(config: str, root: Path) -> Prompt:
    return load_prompt(PromptConfig(**json.loads(config)), root)


def _key(config: DatasetConfig | PromptConfig) -> str:
    return json.dumps(OmegaConf.to_container(OmegaConf.structured(config)), sort_keys=True, default=str)
