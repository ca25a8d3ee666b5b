"""What a model's file decides besides its checkpoint: which backends run it, with which flags, or why none can."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning.job import Job
from runner.planning.plan import plan

LOCAL = "model.path=assets/demo_models/demo_s/bf16"  # stands in for weights that are not here
UNSUPPORTED = sorted(
    path.stem for path in (paths.conf_dir() / "model").glob("*.yaml") if OmegaConf.load(path).get("unsupported")
)


def planned(*overrides: str) -> Job:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", ["tracking=none", *overrides]))


@pytest.mark.parametrize("model", UNSUPPORTED)
def test_what_nothing_can_run_is_refused_with_the_reason(model: str):
    reason = str(OmegaConf.load(paths.conf_dir() / "model" / f"{model}.yaml").unsupported)
    with pytest.raises(Refused) as refused:
        planned(f"model={model}", LOCAL)
    assert len(refused.value.problems) == 1, "nothing else is said of it"
    assert reason.strip() in str(refused.value)


def test_rudolph_is_refused_with_the_pins_that_can_not_be_installed():
    reason = str(OmegaConf.load(paths.conf_dir() / "model" / "rudolph.yaml").unsupported)
    pins = ("tokenizers 0.10", "youtokentome~=1.0.6", "opencv-python==4.5.4.60", "PyWavelets==1.1.1", "Python 3.11")
    assert all(pin in reason for pin in pins)


def test_some_are_unsupported():
    assert {"griffon_g", "rudolph"} <= set(UNSUPPORTED)


def test_a_backend_that_cannot_run_a_model_is_refused_with_those_that_can():
    with pytest.raises(Refused, match=r"minicpm_v_2_6 does not run on backend=hf.*\n?.*it runs on: vllm"):
        planned("model=minicpm_v_2_6", LOCAL, "backend=hf")


def test_a_model_brings_its_environment_and_its_flags_and_the_command_line_wins():
    job = planned("model=minicpm_v_2_6", LOCAL, "backend=vllm")
    assert job.spec.env.startswith("minicpm_v_2_6@")
    assert "--trust-remote-code" in job.backend.launch(job.spec, 1).argv
    large = planned("model=pixtral_large", LOCAL, "backend=vllm")
    assert large.spec.arg("engine_args.tensor_parallel_size") == "4"
    assert large.spec.arg("engine_args.tokenizer_mode") == "mistral"
    fewer = planned("model=pixtral_large", LOCAL, "backend=vllm", "+backend.engine_args.tensor_parallel_size=2")
    assert fewer.spec.arg("engine_args.tensor_parallel_size") == "2"


def test_endpoints_are_models_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    job = planned("model=gpt_4o_mini")
    assert (job.config.model.name, job.spec.checkpoint) == ("gpt_4o_mini", "gpt-4o-mini-2024-07-18")
    assert "sk-canary" not in repr(job.spec) + repr(job.identity)


def test_a_cached_model_in_mistrals_format_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    from runner.planning import hub

    commit = "a" * 40
    cache = tmp_path / "models--owner--Large"
    (cache / "snapshots" / commit).mkdir(parents=True)
    (cache / "snapshots" / commit / "params.json").write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert hub.commit("owner/Large", commit) == commit
