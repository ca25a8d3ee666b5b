"""Which environment a job's engine gets: command line > the model's > the quantisation's > the backend's > current."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from backends.process.uv_environment import UvEnvironment
from runner import config, engine_environment
from runner.errors import Refused
from runner.plan import plan

CONF = Path(__file__).parents[2] / "conf"


def composed(*overrides: str):
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", [*overrides, "tracking=none", "dataset.limit=1"])


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        (["model=demo_m", "backend=vllm"], "vllm_cpu"),  # the model's
        (["model=demo_m", "backend=vllm", "env=vllm"], "vllm"),  # the command line's
        (["model=qwen2vl_2b", "backend=vllm"], "vllm"),  # the backend's
        (["model=demo_m", "backend=hf"], "current"),
        (["model=qwen2vl_2b", "backend=hf", "quant=awq"], "hf_gptq"),  # the quantisation's
        (["model=qwen2vl_2b", "backend=vllm", "quant=awq"], "vllm"),
        (["model=demo_m", "backend=hf", "env=uv", "env.requirements=envs/vllm.txt"], "uv"),
    ],
)
def test_who_decides(overrides: list[str], label: str):
    found = engine_environment.resolve(config.typed(composed(*overrides)))
    assert found.name.partition("@")[0] == label
    assert isinstance(found, UvEnvironment) == (label != "current")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["backend.env=nowhere"], "there is no environment nowhere.*one of: current, .*vllm_cpu"),
        (["+env.variables.A=1"], "env=auto reads its settings from conf/env.*env=NAME"),
        (["env=uv"], r"env\.requirements=envs/FILE\.txt"),
        (["env=uv", "env.requirements=envs/none.txt"], "there is no file"),
    ],
)
def test_what_is_refused(overrides: list[str], words: str):
    with pytest.raises(Refused, match=f"(?s){words}"):
        engine_environment.resolve(config.typed(composed("backend=hf", *overrides)))


def test_the_hash_is_the_identity_and_its_arguments_reach_the_engine():
    job = plan(composed("backend=vllm", "quant=fp32", "+backend.engine_args.enforce_eager=false"))
    assert job.spec.env.startswith("vllm_cpu@") and job.identity["environment"].startswith(job.spec.env)
    assert job.spec.arg("engine_args.skip_mm_profiling") == "true", "conf/env/vllm_cpu.yaml says so"
    assert job.spec.arg("engine_args.enforce_eager") == "false", "the backend's own argument wins"
    assert job.spec.arg("engine_args.limit_mm_per_prompt") == '{"video": 0}'
