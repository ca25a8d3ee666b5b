"""What this machine lacks is refused while a job is planned: a GPU that is asked for, a place for the store."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.base import machine
from runner.base.errors import Refused
from runner.config import Config
from runner.planning import machine_check as machine_check
from tests.conftest import ROOT, CommandLine


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ())
    monkeypatch.setattr(machine_check, "_DEVICES", ())


def given(*overrides: str) -> Config:
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return config.typed(compose("config", list(overrides)))


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["backend.device=cuda"], "backend.device=cpu"),
        (["backend.device=cuda:1"], "backend.device=cpu"),
        (["backend.attention=flash_attention_2"], "backend.attention=sdpa"),
        (["backend=vllm", "env=vllm"], "env=vllm_cpu"),
        (["backend=sglang", "env=sglang"], "env=sglang_cpu"),
        (["backend=vllm", "env=vllm_bnb"], "quant=bf16 env=vllm_cpu"),
        (["env=hf_docker", "env.container.image=x:1", "backend.device=cuda"], "backend.device=cpu"),
    ],
)
def test_cuda_without_a_gpu(overrides: list[str], remedy: str):
    with pytest.raises(Refused, match="no GPU") as refused:
        machine_check.check(given(*overrides))
    assert remedy in str(refused.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["backend=vllm", "env=vllm_cpu"],
        ["env=remote", "env.remote.start=[a]", "env.remote.run=[b]", "env.remote.stop=[c]", "backend.device=cuda"],
        ["model=openai", "backend=openai", "backend.base_url=http://127.0.0.1:1/v1", "model.name=x"],
        ["backend.device=cuda", "reuse=answers"],
    ],
)
def test_what_needs_no_gpu_here(overrides: list[str]):
    machine_check.check(given(*overrides))


def test_gpus_that_are_hidden_or_too_few(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "gpus", lambda: ("one", "two"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    machine_check.check(given("backend.device=cuda:1"))
    with pytest.raises(Refused, match="there are 2 GPUs"):
        machine_check.check(given("backend.device=cuda:2"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(Refused, match="CUDA_VISIBLE_DEVICES hides all GPUs"):
        machine_check.check(given("backend.device=cuda"))


def test_the_command_refuses_and_leaves_nothing(cli: CommandLine):
    cli.environment["CUDA_VISIBLE_DEVICES"] = ""  # the same on a machine that has one
    ended = cli("-m", "backend.device=cuda", "concurrency=1,2", "plan=dry")
    assert ended.code == 2 and "backend.device: CUDA is asked for" in ended.err and not cli.left()


def test_a_store_that_cannot_be_made_is_refused_before_an_engine_starts(cli: CommandLine):
    (cli.folder / "file").write_text("")
    cli.environment["RUNNER_STORE"] = str(cli.folder / "file" / "store")
    ended = cli("plan=dry")
    assert ended.code == 2 and "RUNNER_STORE: the store of answers" in ended.err, ended.err
    assert f"{cli.folder / 'file'} is no folder" in ended.err
    assert "-> RUNNER_STORE=FOLDER, where you may write" in ended.err


def test_a_store_that_is_there_may_be_read_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(machine_check.os, "access", lambda *_: False)
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path))
    machine_check.check(given())
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path / "new"))
    with pytest.raises(Refused, match="nothing can be written in"):
        machine_check.check(given())
