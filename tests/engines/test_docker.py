"""Engines in containers of a real Docker daemon, on an image built from our Dockerfile: `make test-docker`."""

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import pytest

from backends.api import EngineFailed
from backends.process import docker
from backends.process.container_environment import ContainerSettings
from backends.process.docker import DockerEnvironment
from tests.conftest import ROOT, CommandLine, Ended
from tests.engines import docker_daemon
from tests.engines.docker_daemon import Daemon
from tests.patience import patient

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

JOB = ("model=demo_m", "quant=fp32", "tracking=none", "metrics=[exact_match]")
IMAGE = "vlm-runner-hf"  # what conf/env/hf_docker.yaml names


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A daemon with our image. Minutes: Debian is put together, torch copied, the image built."""
    if (lacking := docker_daemon.missing()) is not None:
        pytest.skip(lacking)
    began = time.monotonic()
    with Daemon() as started:
        started.import_base("base:test")
        print(f"the base image is made after {time.monotonic() - began:.0f} s")
        started.build(IMAGE, "docker/hf.Dockerfile", BASE="base:test", PACKAGES="")
        print(f"our image is built after {time.monotonic() - began:.0f} s")
        yield started


@pytest.fixture
def docker_cli(daemon: Daemon, tmp_path: Path, make_cli: Callable[[Path], CommandLine]) -> CommandLine:
    cli = make_cli(tmp_path)
    cli.environment["DOCKER_HOST"] = daemon.host
    return cli


@pytest.fixture(scope="module")
def compared(
    daemon: Daemon, tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[[Path], CommandLine]
) -> tuple[CommandLine, Ended]:
    """All demo documents, asked in a container and in an environment that uv built of the same requirements."""
    folder = tmp_path_factory.mktemp("compared")
    requirements = folder / "hf.txt"
    requirements.write_text(f"-r {ROOT / 'envs' / 'hf.txt'}\ntorch=={metadata.version('torch')}\n")
    cli = make_cli(folder)
    cli.environment |= {"DOCKER_HOST": daemon.host, "RUNNER_ENVS": str(folder / "envs")}
    return cli, cli("-m", *JOB, "env=hf_docker,uv", f"env.requirements={requirements}", timeout=300)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the jobs of a folder, by the label of their environment."""
    found = {}
    for path in folder.rglob("metrics.json"):
        environment = json.loads((path.parent / "environment.json").read_text())
        rows = [json.loads(line) for line in (path.parent / "answers.jsonl").read_text().splitlines()]
        about = json.loads(path.read_text()) | {"environment": environment, "rows": rows, "folder": path.parent}
        found[environment["env"].partition("@")[0]] = about
    return found


def none_left(daemon: Daemon, within_s: float = 20) -> bool:
    deadline = time.monotonic() + patient(within_s)
    while daemon.containers():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_a_container_and_uv_give_the_same_answers(compared: tuple[CommandLine, Ended], daemon: Daemon):
    cli, ended = compared
    assert ended.code == 0, ended.err
    found = results(cli.folder)
    pairs = list(zip(found["hf_docker"]["rows"], found["uv"]["rows"], strict=True))
    assert len(pairs) == 240
    assert [ours["sample_id"] for ours, _ in pairs] == [theirs["sample_id"] for _, theirs in pairs]
    same = sum(ours["text"] == theirs["text"] for ours, theirs in pairs)
    print(f"{same} of {len(pairs)} answers are the same")
    assert same / len(pairs) >= 0.95, [(a["text"], b["text"]) for a, b in pairs if a["text"] != b["text"]]
    assert found["hf_docker"]["metrics"]["quality/exact_match"] > 0.9
    assert none_left(daemon)


def test_the_images_digest_is_kept_and_memory_measured(compared: tuple[CommandLine, Ended], daemon: Daemon):
    result = results(compared[0].folder)["hf_docker"]
    (identity,) = daemon.docker("image", "inspect", "--format", "{{.Id}}", IMAGE).stdout.split()
    assert result["environment"]["env"] == f"docker@{identity}"
    assert result["environment"]["engine"]["version.python"].startswith(docker_daemon.PYTHON)
    metrics = result["metrics"]
    assert metrics["engine/starts"] == 1 and metrics["engine/load_s"] > 1
    # Of the container's processes: torch and the model, and not the client, which is some MiB.
    assert 0.15 < metrics["memory/cpu_peak_gib"] < 2
    assert "memory/gpu_peak_gib" not in metrics
    assert not [note for note in result.get("notes", []) if "not measured" in note]


def started(cli: CommandLine, repeats: int = 20) -> Any:
    """Start a job on a container and wait until it has answers."""
    process = cli.start(*JOB, "env=hf_docker", "warmup=0", f"sampling.repeats={repeats}")
    deadline = time.monotonic() + patient(90)
    while sum(len(path.read_bytes().splitlines()) for path in (cli.folder / "store").glob("*.jsonl")) < 10:
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    return process


def clients(cli: CommandLine) -> list[psutil.Process]:
    """Return the `docker run` of runners that use this store."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() == "docker" and process.environ().get("RUNNER_STORE") == str(cli.folder / "store"):
                found.append(process)
    return found


def test_nothing_is_left_when_the_runner_is_killed_and_no_key_is_to_be_seen(docker_cli: CommandLine, daemon: Daemon):
    process = started(docker_cli)
    try:
        (name,) = daemon.containers()
        (client,) = clients(docker_cli)
        key = client.environ()["RUNNER_ENGINE_KEY"]
        seen = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
        assert any(name in line for line in seen) and not any(key in line for line in seen)
        about = json.loads(daemon.docker("inspect", name).stdout)[0]
        limits = about["HostConfig"]
        assert limits["CapDrop"] == ["ALL"] and limits["SecurityOpt"] == ["no-new-privileges"]
        assert limits["LogConfig"]["Type"] == "none" and about["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
        assert about["Mounts"] and not any(mount["RW"] for mount in about["Mounts"] if mount["Type"] == "bind")
        inside = psutil.Process(about["State"]["Pid"])
        family = [inside, *inside.children(recursive=True)]
        assert len(family) >= 2, "docker-init and the engine"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(patient(10))
        assert none_left(daemon)
        assert not [one for one in family if one.is_running()]
        assert not clients(docker_cli)
    finally:
        process.kill()
        process.communicate()


def test_a_watchdog_that_is_killed_leaves_no_container(docker_cli: CommandLine, daemon: Daemon):
    process = started(docker_cli, repeats=1)
    try:
        (client,) = clients(docker_cli)
        watchdog = client.parent()
        assert watchdog is not None and "backends.process.watchdog" in " ".join(watchdog.cmdline())
        watchdog.kill()
        output, _ = process.communicate(timeout=patient(120))
        assert process.returncode == 0, output  # the container goes on, and is removed when the engine is closed
        (result,) = results(docker_cli.folder).values()
        assert "memory/cpu_peak_gib" not in result["metrics"]
        assert any("the watchdog is gone" in note for note in result["notes"])
        assert none_left(daemon)
    finally:
        process.kill()


def test_a_container_that_is_killed_is_told_of_as_an_engine_that_died(docker_cli: CommandLine, daemon: Daemon):
    process = started(docker_cli)
    try:
        (name,) = daemon.containers()
        assert f"killed with their watchdog: {name}" in docker_cli(module="runner.doctor").out
        daemon.docker("kill", name)
        output, _ = process.communicate(timeout=patient(120))
        assert process.returncode == 1 and "the engine died: killed by SIGKILL" in output, output
        assert none_left(daemon)
    finally:
        process.kill()


def test_a_network_of_its_own_publishes_the_port_here(docker_cli: CommandLine, daemon: Daemon):
    daemon.docker("network", "create", "apart")
    ended = docker_cli(*JOB, "env=hf_docker", "env.container.network=apart", "dataset.limit=8")
    assert ended.code == 0, ended.err
    assert len(results(docker_cli.folder)["hf_docker"]["rows"]) == 8
    assert none_left(daemon)
    daemon.docker("network", "rm", "apart")


def test_an_image_of_a_registry_is_pulled_once_and_known_by_its_digest(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("DOCKER_HOST", daemon.host)
    caplog.set_level("INFO", "backends")
    with daemon.registry() as address:
        name = f"{address}/team/small:1"
        daemon.small_image(name)
        pushed = daemon.docker("push", name).stdout
        digest = re.search(r"digest: (sha256:[0-9a-f]{64})", pushed)
        assert digest is not None, pushed
        pinned = f"{address}/team/small@{digest[1]}"
        daemon.docker("image", "rm", name)
        assert DockerEnvironment("mine", ContainerSettings(pinned)).name == f"mine@{digest[1]}"
        assert not daemon.docker("image", "ls", "--quiet", f"{address}/team/small").stdout, "its name says it all"
        docker.inspect.cache_clear()
        assert DockerEnvironment("mine", ContainerSettings(name)).name == f"mine@{digest[1]}", "the same by its tag"
        assert f"pulling {name}: 1 of 1 layers" in caplog.messages
        said: list[str] = []
        DockerEnvironment("mine", ContainerSettings(pinned)).build(said.append)  # the tag brought it
        assert not said
        daemon.docker("image", "rm", name, pinned, check=False)
        docker.inspect.cache_clear()
        DockerEnvironment("mine", ContainerSettings(pinned)).build(said.append)
        assert said[0].startswith(f"pulling {pinned}, which") and said[-1].endswith("1 of 1 layers")
        with pytest.raises(EngineFailed, match=r"(?s)the registry has no such image.*docker pull"):
            DockerEnvironment("mine", ContainerSettings(f"{address}/team/none:1")).build(said.append)
    docker.inspect.cache_clear()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("env.container.image=none-such", "there is no image none-such here, and env.container.pull=never"),
        ("env.container.host=unix:///tmp/no-daemon", "no Docker daemon answers: start it"),
        ("env.container.host=tcp://10.0.0.7:2375", "is another machine's"),
        ("env.container.mounts=[/no/such/folder]", "there is no /no/such/folder"),
    ],
)
def test_what_is_refused(docker_cli: CommandLine, override: str, words: str):
    ended = docker_cli(*JOB, "env=hf_docker", override)
    assert ended.code == 2 and words in ended.err, ended.err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("env.container.python=python9", "the image has no program python9"),
        ("env.container.gpus=all", "the container gets no GPU: install the NVIDIA container toolkit"),
        ("env.container.network=nowhere", "Docker has no network nowhere"),
        ("env.container.user=nobody-there", "give it as numbers"),
    ],
)
def test_a_container_that_does_not_start_says_why(docker_cli: CommandLine, daemon: Daemon, override: str, words: str):
    ended = docker_cli(*JOB, "env=hf_docker", "dataset.limit=1", override)
    assert ended.code == 1 and words in ended.out, ended.out + ended.err
    assert none_left(daemon)


def test_a_good_image_passes_the_check_and_a_broken_one_does_not(docker_cli: CommandLine, daemon: Daemon):
    good = docker_cli(f"image={IMAGE}", module="runner.doctor")
    assert good.code == 0, good.out + good.err
    assert "ok    vlm-runner-hf: 40 questions answered, 0.9" in good.out
    assert not list(docker_cli.folder.rglob("*.jsonl")), "nothing is kept"
    other = docker_cli(f"image={IMAGE}", "metrics=[cer]", "dataset.limit=2", module="runner.doctor")
    assert other.code == 0 and "2 questions answered; started" in other.out, other.out + other.err
    broken = docker_cli(
        "image=base:test", "dataset.limit=2", module="runner.doctor"
    )  # it has torch, and no transformers
    assert broken.code == 1 and "fail  base:test" in broken.out, broken.out + broken.err
    assert "the engine's environment has no aiohttp" in broken.out
    absent = docker_cli("image=127.0.0.1:9/none:1", module="runner.doctor")
    assert absent.code == 1 and "the registry can't be reached" in absent.out, absent.out + absent.err
    assert none_left(daemon)
