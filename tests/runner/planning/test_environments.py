"""Which environment a job's engine gets: command line > the model's > the quantisation's > the backend's > current."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from backends.api import EngineSpec
from backends.hf import HfBackend
from backends.process.apptainer import ApptainerEnvironment
from backends.process.container_environment import ContainerSettings
from backends.process.docker import DockerEnvironment
from backends.process.remote_environment import RemoteSettings
from backends.process.uv_environment import UvEnvironment
from runner import config
from runner.base.errors import Refused
from runner.planning import environments
from runner.planning.identity import identity
from runner.planning.plan import plan
from runner.prompts import ocr

CONF = Path(__file__).parents[3] / "conf"


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
    found = environments.resolve(config.typed(composed(*overrides)))
    assert found.name.partition("@")[0] == label
    assert isinstance(found, UvEnvironment) == (label != "current")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["backend.env=nowhere"], "there is no environment nowhere.*one of: .*current, .*vllm_cpu"),
        (["+env.variables.A=1"], "env=auto reads its settings from conf/env.*env=NAME"),
        (["env=uv"], r"env\.requirements=envs/FILE\.txt"),
        (["env=uv", "env.requirements=envs/none.txt"], "there is no file"),
        (["env=hf_docker", "env.container.image=null"], r"which image\?.*env\.container\.image=NAME:TAG"),
        (["env=hf_docker", "env.container.mounts=[/no/folder]"], "env=hf_docker.*there is no /no/folder"),
        (["env=hf_docker", "env.container.host=ssh://elsewhere"], "another machine's"),
        (["env=apptainer", "env.container.network=bridge"], "env=apptainer.*are Docker's"),
        (["env=hf_docker", "env.container.runtime=podman"], "one of: docker, apptainer"),
    ],
)
def test_what_is_refused(overrides: list[str], words: str):
    with pytest.raises(Refused, match=f"(?s){words}"):
        environments.resolve(config.typed(composed("backend=hf", *overrides)))


@pytest.mark.parametrize(
    ("env", "kind"),
    [
        ("hf_docker", DockerEnvironment),
        ("docker", DockerEnvironment),  # the old word for it
        ("vllm_docker", DockerEnvironment),
        ("sglang_docker", DockerEnvironment),
        ("apptainer", ApptainerEnvironment),
    ],
)
def test_containers_need_no_daemon_until_their_name_is_asked_for(env: str, kind: type):
    found = environments.resolve(config.typed(composed(f"env={env}", "+env.variables={A: true}")))
    assert isinstance(found, kind) and found.label == env and found.variables == {"A": "true"}


@pytest.mark.parametrize(
    ("settings", "keys"), [(ContainerSettings, config.ContainerConfig), (RemoteSettings, config.RemoteConfig)]
)
def test_the_config_has_a_key_with_the_same_default_for_each_setting_of_an_environment(settings: type, keys: type):
    told = {key.name: default_of(key) for key in dataclasses.fields(keys)}
    for field in dataclasses.fields(settings):
        assert field.name in told
        if (default := default_of(field)) is not dataclasses.MISSING:
            assert told[field.name] in (default, list(default) if isinstance(default, tuple) else default, None)


def default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def test_settings_reach_an_environment_as_they_are_given():
    given = ["mounts=[/tmp]", "gpus='0,1'", "shm_size=8g", "pull=never", "image=owner/image:1", "user=image"]
    found = environments.resolve(config.typed(composed("env=hf_docker", *(f"env.container.{one}" for one in given))))
    assert isinstance(found, DockerEnvironment)
    assert found.settings == ContainerSettings(
        "owner/image:1", gpus="0,1", shm_size="8g", mounts=("/tmp",), pull="never", user="image"
    )


def test_the_old_word_for_the_hf_engine_in_docker_means_the_same_wherever_it_stands():
    new = config.typed(composed("env=hf_docker")).env
    for overrides in (["env=docker"], ["backend.env=docker"]):  # read by Hydra, and by us
        old = environments.chosen(config.typed(composed(*overrides)))
        assert old == dataclasses.replace(new, name="docker"), overrides


def test_an_image_that_can_not_be_had_refuses_the_job(tmp_path: Path):
    nowhere = f"env.container.host=unix://{tmp_path}/sock"
    with pytest.raises(Refused, match=r"env=hf_docker: .*(no Docker daemon answers|there is no program `docker`)"):
        environments.name(config.typed(composed("env=hf_docker", nowhere)))


def test_a_digest_in_the_name_needs_no_daemon(tmp_path: Path):
    image = f"env.container.image=owner/image:1@sha256:{'0' * 64}"
    nowhere = f"env.container.host=unix://{tmp_path}/sock"
    assert environments.name(config.typed(composed("env=hf_docker", image, nowhere))) == f"hf_docker@sha256:{'0' * 64}"


def test_tesseract_of_an_image_is_named_by_its_digest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ocr, "tesseract", lambda: ("5.3.0", ("rus",)))
    spec = EngineSpec("hf", "owner/model", env=f"hf_docker@sha256:{'0' * 64}")
    for env, expected in (("current", "5.3.0"), ("hf_docker", None)):
        job = config.typed(composed("model=layoutlmv3", f"env={env}"))
        assert identity(job, spec, HfBackend()).get("tesseract") == expected


def test_the_hash_is_the_identity_and_its_arguments_reach_the_engine():
    job = plan(composed("backend=vllm", "quant=fp32", "+backend.engine_args.enforce_eager=false"))
    assert job.spec.env.startswith("vllm_cpu@") and job.identity["environment"].startswith(job.spec.env)
    assert job.spec.arg("engine_args.skip_mm_profiling") == "true", "conf/env/vllm_cpu.yaml says so"
    assert job.spec.arg("engine_args.enforce_eager") == "false", "the backend's own argument wins"
    assert job.spec.arg("engine_args.limit_mm_per_prompt") == '{"video": 0}'
