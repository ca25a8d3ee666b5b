"""The commands that start engines in containers. What a real daemon makes of them: tests/engines/test_docker.py."""

import csv
import dataclasses
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from backends.api import EngineSpec, Launch, Undo
from backends.hf import HfBackend
from backends.known_failures import first
from backends.process import container_environment, container_failures, docker, gpu_claims
from backends.process.container_environment import ContainerSettings
from backends.process.docker import DockerEnvironment, Image
from backends.process.gpu_claims import OnGpus
from backends.process.supervised import SupervisedProcess
from backends.vllm import VllmBackend
from tests.conftest import ROOT

ID = "sha256:" + "a" * 64
DIGEST = "sha256:" + "b" * 64


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An image that is there, a hub cache, four GPUs."""
    monkeypatch.setattr(docker, "inspect", lambda _docker, name: Image(ID, DIGEST))
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(container_environment, "hub_cache", lambda: cache)
    monkeypatch.setattr(gpu_claims, "visible", lambda: ["0", "1", "2", "3"])
    for name in ("CUDA_VISIBLE_DEVICES", "DOCKER_HOST", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def environment(variables: dict[str, str] | None = None, **settings: object) -> DockerEnvironment:
    return DockerEnvironment("docker", ContainerSettings("mine/hf:1", **settings), variables or {})  # type: ignore[arg-type]


def launched(backend: HfBackend | VllmBackend, checkpoint: str, **settings: object) -> Launch:
    return environment(**settings).prepare(backend.launch(EngineSpec(backend.name, checkpoint), 4711))


def options(argv: tuple[str, ...], name: str) -> list[str]:
    return [argv[at + 1] for at, word in enumerate(argv) if word == name]


def test_the_name_holds_the_images_digest_and_what_the_engine_is_told(tmp_path: Path):
    assert environment().name == f"docker@{DIGEST}"
    assert environment({"A": "1"}).name != environment({"A": "2"}).name
    pinned = DockerEnvironment("vllm", ContainerSettings(f"vllm/vllm-openai:v1@{ID}"))
    assert pinned.name == f"vllm@{ID}", "without asking a daemon"


def test_what_stands_behind_the_image_is_the_engines_own_command(tmp_path: Path):
    checkpoint = tmp_path / "model"
    checkpoint.mkdir()
    launch = launched(VllmBackend(), str(checkpoint))
    after = launch.argv[launch.argv.index(ID) :]
    assert after[1:5] == ("-m", "vllm.entrypoints.cli.main", "serve", str(checkpoint))
    assert options(launch.argv, "--entrypoint") == ["python3"]
    assert options(launch.argv, "--mount") == [
        f"type=bind,source={tmp_path / 'hub'},target={tmp_path / 'hub'},readonly",
        f"type=bind,source={checkpoint},target={checkpoint},readonly",
    ]
    assert "VLLM_API_KEY" in options(launch.argv, "--env"), "by name: its value is nobody's to read"
    assert not any(word.startswith(("VLLM_API_KEY=", "PYTHONPATH=")) for word in options(launch.argv, "--env"))


def test_our_own_server_is_the_runners_code(tmp_path: Path):
    argv = launched(HfBackend(), "owner/model").argv
    mounts = options(argv, "--mount")
    assert any(mount.endswith("target=/opt/vlm-runner/backends,readonly") for mount in mounts)
    assert "PYTHONPATH=/opt/vlm-runner" in options(argv, "--env")


def test_links_out_of_a_checkpoint_lead_somewhere(tmp_path: Path):
    snapshot, blobs = tmp_path / "a,b" / "snapshot", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "0123").write_text("weights")
    (snapshot / "model.safetensors").symlink_to("../../blobs/0123")
    mounts = options(launched(VllmBackend(), str(snapshot)).argv, "--mount")
    assert f'type=bind,"source={snapshot}","target={snapshot}",readonly' in mounts, "a comma is quoted"
    assert f"type=bind,source={blobs},target={blobs},readonly" in mounts


@pytest.mark.parametrize(
    ("visible", "claimed", "setting", "given"),
    [
        (None, None, "auto", ["all"]),
        ("2,3", None, "auto", ['"device=2,3"']),
        ("", None, "auto", []),
        (None, ("1",), "auto", ['"device=1"']),
        ("2,3", None, "0", ['"device=0"']),
        (None, None, "none", []),
    ],
)
def test_gpus(
    visible: str | None,
    claimed: tuple[str, ...] | None,
    setting: str,
    given: list[str],
    monkeypatch: pytest.MonkeyPatch,
):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        monkeypatch.setattr(gpu_claims, "visible", lambda: [name for name in visible.split(",") if name])
    where = environment(gpus=setting)
    launch = HfBackend().launch(EngineSpec("hf", "owner/model"), 1)
    prepared = (OnGpus(where, claimed) if claimed else where).prepare(launch)
    assert options(prepared.argv, "--gpus") == given
    assert "CUDA_VISIBLE_DEVICES" not in (*prepared.variables, *options(prepared.argv, "--env")), (
        "they count from 0 inside"
    )


def test_settings_become_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    launch = launched(
        HfBackend(),
        "owner/model",
        shm_size="8g",
        user="1000:1000",
        network="apart",
        mounts=(f"{tmp_path}:/data:rw",),
        host="unix:///run/other.sock",
    )
    argv = launch.argv
    assert argv[:4] == ("docker", "--host", "unix:///run/other.sock", "run")
    assert options(argv, "--shm-size") == ["8g"] and options(argv, "--user") == ["1000:1000"]
    assert options(argv, "--publish") == ["127.0.0.1:4711:4711"] and argv[-2:] == ("--host", "0.0.0.0")
    assert f"type=bind,source={tmp_path},target=/data" in options(argv, "--mount")
    assert "HF_TOKEN" in options(argv, "--env") and "hf_secret" not in " ".join(argv)
    assert launch.undo is not None and launch.undo.argv[:3] == argv[:3]
    assert options(argv, "--name") == [launch.undo.argv[-1]] == [launch.undo.find[-1]]


def test_the_hubs_cache_may_be_written_where_that_is_asked_for(tmp_path: Path):
    mounts = options(launched(VllmBackend(), "owner/model", mounts=(f"{tmp_path / 'hub'}:rw",)).argv, "--mount")
    assert mounts == [f"type=bind,source={tmp_path / 'hub'},target={tmp_path / 'hub'}"]


def test_links_that_lead_to_links_lead_somewhere(tmp_path: Path):
    for name in ("model", "between", "end"):
        (tmp_path / name).mkdir()
    (tmp_path / "end" / "weights").touch()
    (tmp_path / "between" / "weights").symlink_to("../end/weights")
    (tmp_path / "model" / "weights").symlink_to(tmp_path / "between" / "weights")
    mounts = options(launched(VllmBackend(), str(tmp_path / "model")).argv, "--mount")
    for name in ("model", "between", "end"):
        assert f"type=bind,source={tmp_path / name},target={tmp_path / name},readonly" in mounts


def test_quotes_in_a_path_are_doubled_for_the_line_of_csv(tmp_path: Path):
    folder = tmp_path / 'a "b", c: d'
    folder.mkdir()
    mounts = [next(csv.reader([one])) for one in options(launched(VllmBackend(), str(folder)).argv, "--mount")]
    assert ["type=bind", f"source={folder}", f"target={folder}", "readonly"] in mounts


def test_a_secret_among_the_settings_stands_in_no_command_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OURS", "s3cret-of-ours")
    told = {"COMPANY_TOKEN": "s3cret-4711", "URL": "https://me:pass@host", "MODE": "fast", "SAME": "s3cret-of-ours"}
    launch = environment(told).prepare(HfBackend().launch(EngineSpec("hf", "owner/model"), 1))
    given = options(launch.argv, "--env")
    assert {"COMPANY_TOKEN", "URL", "SAME", "MODE=fast"} <= {*given}, "by name: the client looks the values up"
    assert {name: launch.variables[name] for name in ("COMPANY_TOKEN", "URL", "SAME")} == {
        name: value for name, value in told.items() if name != "MODE"
    }
    assert "s3cret" not in " ".join(launch.argv) and "me:pass" not in " ".join(launch.argv)


@pytest.fixture
def apart() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is not the engine's child, as those of a container are."""
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_container_whose_daemon_is_gone(is_seen: bool, apart: subprocess.Popen[bytes], tmp_path: Path):
    find = ("sh", "-c", f"echo {apart.pid} /")  # each control group has a slash
    remove = ("sh", "-c", "echo Cannot connect to the Docker daemon >&2; exit 1")
    log = tmp_path / "engine.log"
    undo = Undo("c1", "the container c1", remove, "processes of the engine may still run", prints=True, find=find)
    process = SupervisedProcess(("sleep", "300"), {}, log, undo)
    try:
        if is_seen:
            process.mark()
    finally:
        process.stop()
    assert (apart.poll() is not None) == is_seen, "the process itself can be killed where it was seen"
    said = "processes of the engine may still run: run sh -c"
    assert (said in log.read_text()) == (not is_seen)


def test_containers_have_names_of_their_own():
    first, second = (launched(HfBackend(), "owner/model").argv for _ in range(2))
    assert options(first, "--name") != options(second, "--name")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mounts": ("relative:place",)}, "has not the form|there is no"),
        ({"mounts": ("/no/such/folder",)}, "there is no /no/such/folder"),
        ({"host": "ssh://somewhere"}, "another machine"),
    ],
)
def test_what_is_refused(settings: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        environment(**settings)


def test_a_server_without_a_port_can_not_be_published():
    with pytest.raises(ValueError, match="names no --port"):
        environment(network="apart").prepare(dataclasses.replace(Launch(("server",))))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "usermod -aG docker",
        ),
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "no Docker daemon answers"),
        ('could not select device driver "" with capabilities: [[gpu]]', "NVIDIA container toolkit"),
        (
            "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver",
            "built for CUDA 13.0: CUDA 13 needs driver 580",
        ),
        ("manifest for vllm/vllm-openai:v9 not found: manifest unknown: manifest unknown", "check env.container.image"),
        (
            "Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io: no such host",
            "can't be reached",
        ),
        ("write /var/lib/docker/tmp/x: no space left on device", "disk of the images is full"),
        ("OSError: [Errno 30] Read-only file system: '/home/me/.cache/huggingface/hub/models--a--b'", "hf download"),
    ],
)
def test_known_failures_say_what_to_do(said: str, meant: str):
    failure = container_failures.of_image(said)
    assert failure is not None and meant in failure.message


@pytest.mark.parametrize(
    "log",
    [
        "loading weights\nCUDA out of memory",
        "HTTPSConnectionPool(host='huggingface.co'): Connection refused",
        "OSError: [Errno 28] No space left on device",
        "ConfigError: network resnet not found",
    ],
)
def test_what_an_engine_says_is_not_taken_for_dockers_words(log: str):
    assert first(container_failures.OF_CONTAINERS, log) is None


def test_the_pins_of_the_hf_image_are_what_the_extra_asks_for():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["hf"]
    lines = [line.partition("#")[0].strip() for line in (ROOT / "envs" / "hf.txt").read_text().splitlines()]
    pins = {Requirement(line).name: line.partition("==")[2] for line in lines if line}
    asked = {one.name: one for one in map(Requirement, extra)}
    # torch comes with the base; the other two are the runner's own.
    assert set(asked) - set(pins) == {"torch", "qwen-vl-utils", "av"}
    for name, requirement in asked.items():
        assert name not in pins or requirement.specifier.contains(pins[name]), name
