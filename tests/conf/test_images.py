"""The files that make images: docker/, .github/workflows/images.yaml. What can be held without building them."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.patience import patient

DOCKERFILES = {path.name.partition(".")[0]: path for path in (ROOT / "docker").glob("*.Dockerfile")}
COMPOSE = ROOT / "docker" / "compose.yaml"


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile in order, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in joined]


def test_there_is_one_for_each_engine_one_for_scoring_and_one_for_the_runner():
    assert set(DOCKERFILES) == {"hf", "vllm", "sglang", "scoring", "runner"}


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_an_image_has_any_base_and_no_root(name: str):
    found = instructions(DOCKERFILES[name])
    assert found[0][0] == "ARG" and found[0][1].startswith("BASE=") and found[1] == ("FROM", "${BASE}")
    assert [value for word, value in found if word == "USER"][-1] == "1000"
    assert [word for word, _ in found if word in ("ENTRYPOINT", "CMD")] == ["ENTRYPOINT", "CMD"]
    labels = [value for word, value in found if word == "LABEL"]
    assert labels == ([f"vlm-runner.backend={name}"] if name in ("hf", "vllm", "sglang") else [])


@pytest.mark.parametrize("name", sorted(DOCKERFILES))
def test_what_is_copied_is_there_and_sent_to_the_daemon(name: str):
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, value in instructions(DOCKERFILES[name]):
        if word != "COPY":
            continue
        (source, _) = value.split()
        assert list(ROOT.glob(source)) if source != "." else True, source
        assert source == "." or any(source == one or source.startswith(f"{one}/") for one in sent), source


def test_an_image_of_the_runner_gets_all_that_its_wheel_holds():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    wheel = re.search(r"force-include\]\n(.*?)\n\n", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    assert wheel is not None
    for folder in re.findall(r'^"([^"]+)"', wheel[1], re.MULTILINE):
        assert any(folder == one or folder.startswith(f"{one}/") for one in sent), folder


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_official_image_has_the_version_of_the_requirements(engine: str):
    (version,) = re.findall(rf"^{engine}==(\S+)$", (ROOT / "envs" / f"{engine}.txt").read_text(), re.MULTILINE)
    (base,) = [value for word, value in instructions(DOCKERFILES[engine]) if value.startswith("BASE=")]
    configured = yaml.safe_load((ROOT / "conf" / "env" / f"{engine}_docker.yaml").read_text())["container"]["image"]
    assert base.removeprefix("BASE=") == configured and configured.endswith(f":v{version}")


def test_every_image_is_published():
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "images.yaml").read_text())
    given = workflow[True]["workflow_dispatch"]["inputs"]["images"]["default"]  # YAML 1.1 reads `on` as true
    job = workflow["jobs"]["image"]
    assert set(yaml.safe_load(given)) == set(DOCKERFILES)
    assert given in job["strategy"]["matrix"]["image"], "the default of a pushed tag is the same"
    build = next(step for step in job["steps"] if step.get("id") == "build")
    assert build["with"]["file"] == "docker/${{ matrix.image }}.Dockerfile"
    assert not re.search(r"password: (?!\$\{\{ secrets\.)", json_of(job)), "nothing but the repository's own token"


def json_of(job: dict[str, Any]) -> str:
    return yaml.safe_dump(job)


def test_the_servers_are_not_open_to_the_network_and_hold_no_password():
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    assert set(services) == {"postgres", "mlflow", "runner"}
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "docker.sock" not in COMPOSE.read_text()
    for service in services.values():
        if "build" in service:
            assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_compose_takes_its_files():
    command = ["docker-compose", "-f", str(COMPOSE), "-f", str(COMPOSE.with_name("compose.gpu.yaml")), "config"]
    bare = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    refused = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=patient(60))
    assert refused.returncode != 0 and "set POSTGRES_PASSWORD" in refused.stderr
    taken = subprocess.run(
        command, env=bare | {"POSTGRES_PASSWORD": "x"}, capture_output=True, text=True, timeout=patient(60)
    )
    assert taken.returncode == 0, taken.stderr
    services = yaml.safe_load(taken.stdout)["services"]
    assert services["runner"]["shm_size"] and services["mlflow"]["ports"] == ["127.0.0.1:5000:5000/tcp"]
