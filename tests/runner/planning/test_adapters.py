"""LoRA adapters: part of what decides an answer, and checked before an engine starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning.job import Job
from runner.planning.plan import plan


def planned(*overrides: str) -> Job:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", ["model=demo_s", "tracking=none", *overrides]))


def adapter(folder: Path, weights: bytes = b"one", **settings: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8, **settings}))
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def test_an_adapter_is_another_engine_and_another_answer(tmp_path: Path):
    plain, one = planned(), planned(f"model.adapter={adapter(tmp_path / 'one')}")
    copy = planned(f"model.adapter={adapter(tmp_path / 'copy')}")
    other = planned(f"model.adapter={adapter(tmp_path / 'other', b'two')}")
    assert len({plain.spec, one.spec, other.spec}) == 3
    assert one.identity == copy.identity, "its content counts and not its place"
    assert plain.identity != one.identity != other.identity


def test_vllm_is_told_the_rank_that_it_must_reserve(tmp_path: Path):
    folder = adapter(tmp_path / "lora", r=16, rank_pattern={"q_proj": 32})
    job = planned("backend=vllm", f"model.adapter={folder}")
    assert job.spec.arg("adapter_rank") == "32"
    assert planned(f"model.adapter={folder}").spec.arg("adapter_rank") == ""


@pytest.mark.parametrize(
    ("settings", "overrides", "words"),
    [
        ({"peft_type": "PROMPT_TUNING"}, [], "an adapter of type PROMPT_TUNING"),
        ({"r": 1024}, ["backend=vllm"], "vLLM serves up to 512"),
        ({}, ["model.weights=dummy"], "no meaning on random weights"),
    ],
)
def test_what_no_engine_can_serve(settings: dict[str, object], overrides: list[str], words: str, tmp_path: Path):
    with pytest.raises(Refused, match=words):
        planned(f"model.adapter={adapter(tmp_path / 'lora', **settings)}", *overrides)
