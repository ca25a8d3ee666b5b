"""The prompts of conf/, against the datasets they are for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from runner.datasets import DatasetConfig, open_dataset
from runner.prompts import PromptConfig, load_prompt

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_prompts_fit_the_demo_documents() -> None:
    dataset = open_dataset(shipped("dataset", "demo_documents"), ROOT)
    names = sorted(path.stem for path in (ROOT / "conf/prompt").glob("*.yaml"))
    assert {"plain", "collection", "describe", "demo_questions", "demo_detailed"} <= set(names)
    for name in set(names) - {"collection"}:
        assert load_prompt(shipped("prompt", name), ROOT).check(dataset) == [], name


def test_the_default_prompt_asks_about_a_folder_of_pictures(shared: Path) -> None:
    dataset = open_dataset(shipped("dataset", "images", path=str(shared / "screen_annotation/images")))
    prompt = load_prompt(shipped("prompt", "plain"), ROOT)
    assert prompt.check(dataset) == []
    assert prompt.render(next(iter(dataset))).text == "Опиши подробно, что изображено на скриншоте."


def shipped(group: str, name: str, **keys: str) -> Any:
    """A config of conf/ as the schema types it."""
    schema = {"dataset": DatasetConfig, "prompt": PromptConfig}[group]
    content = OmegaConf.load(ROOT / "conf" / group / f"{name}.yaml")
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), content, keys))


def test_importing_loads_nothing_heavy() -> None:
    heavy = "{'pandas', 'PIL', 'pypdfium2', 'python_calamine', 'jinja2', 'torch', 'mlflow'}"
    code = f"import runner.datasets, runner.prompts, sys; print({heavy} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
