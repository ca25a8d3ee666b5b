"""Apptainer's command lines, run through a stand-in that is a real process: Apptainer itself was not at hand."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from backends.api import EngineFailed, EngineSpec, Launch
from backends.hf import HfBackend
from backends.process import apptainer, container_environment, gpu_claims
from backends.process.apptainer import ApptainerEnvironment, ApptainerProblem
from backends.process.container_environment import ContainerSettings
from backends.process.gpu_claims import OnGpus
from backends.process.server import start
from tests.conftest import ROOT
from tests.patience import patient

FAKE = Path(__file__).parent / "fake_apptainer.py"
PINNED = "docker://owner/image@sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our stand-in on the PATH, an image that is a file, a hub cache, no GPU."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "apptainer").write_text(FAKE.read_text().replace("/usr/bin/env python3", sys.executable, 1))
    (programs / "apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "hf.sif").write_text("an image")
    monkeypatch.setenv("RUNNER_IMAGES", str(tmp_path / "images"))
    monkeypatch.setattr(container_environment, "hub_cache", lambda: tmp_path)
    monkeypatch.setattr(gpu_claims, "visible", lambda: [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def environment(image: str, variables: dict[str, str] | None = None, **settings: object) -> ApptainerEnvironment:
    chosen = ContainerSettings(image, **settings)  # type: ignore[arg-type]
    return ApptainerEnvironment("apptainer", chosen, lambda file: f"of {file.read_text()}", variables or {})


def test_an_engine_is_started_and_its_key_stands_in_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_user")
    monkeypatch.setenv("OTHER", "not the engine's business")
    record = tmp_path / "record.json"
    spec = EngineSpec("hf", str(ROOT / "assets/demo_models/demo_s/bf16"), quant="fp32", args=(("threads", "1"),))
    where = environment(str(tmp_path / "hf.sif"), {"FAKE_APPTAINER_RECORD": str(record)})
    engine = start(HfBackend(), spec, log_path=tmp_path / "engine.log", timeout_s=patient(120), environment=where)
    try:
        assert engine.alive() and engine.load_s is not None
        mark = engine.mark()
        assert (engine.since(mark).cpu_peak_gib or 0) > 0.1, "its processes are descendants, and measured as any"
    finally:
        engine.close()
    told = json.loads(record.read_text())
    inside, options = told["environment"], told["options"]
    assert inside["RUNNER_ENGINE_KEY"] == engine.endpoint.api_key not in " ".join(told["argv"])
    assert inside["HF_TOKEN"] == "hf_of_the_user" not in " ".join(told["argv"])
    assert "OTHER" not in inside and inside["MALLOC_MMAP_THRESHOLD_"]
    assert options["containall"] and options["no_privs"] and not options["nv"]
    mounts = [f"type=bind,source={place},destination={place},ro" for place in (tmp_path, spec.checkpoint)]
    assert set(mounts) < set(options["mount"]) and all(mount.endswith(",ro") for mount in options["mount"])


@pytest.mark.parametrize(
    ("setting", "claimed", "nv", "devices"),
    [("none", None, False, None), ("all", None, True, None), ("0,1", None, True, "0,1"), ("auto", ("3",), True, "3")],
)
def test_gpus(tmp_path: Path, setting: str, claimed: tuple[str, ...] | None, nv: bool, devices: str | None):
    where = environment(str(tmp_path / "hf.sif"), gpus=setting)
    prepared = (OnGpus(where, claimed) if claimed else where).prepare(Launch(("server",)))
    assert ("--nv" in prepared.argv) == nv
    assert prepared.variables.get("APPTAINERENV_CUDA_VISIBLE_DEVICES") == devices


def test_the_name_is_that_of_the_file_or_the_digest(tmp_path: Path):
    assert environment(str(tmp_path / "hf.sif")).name == "apptainer@sha256:of an image"
    assert environment(PINNED).name == f"apptainer@sha256:{'a' * 64}"
    assert not list((tmp_path).glob("images/*")), "nothing was pulled for it"


def test_an_image_of_a_registry_is_made_into_a_file_once(tmp_path: Path):
    where, said = environment(PINNED), []
    where.build(said.append)
    (file,) = (tmp_path / "images").glob("*.sif")
    assert file.read_text() == PINNED and f"pulling {PINNED}: INFO:    Converting OCI blobs to SIF format" in said
    said.clear()
    where.build(said.append)
    assert not said and str(file) in where.prepare(Launch(("server",))).argv


@pytest.mark.parametrize(
    ("image", "settings", "words"),
    [
        ("docker://owner/absent", {}, "the registry has no such image"),
        (PINNED, {"pull": "never"}, "pull=never"),
        ("/no/such.sif", {}, "there is no image /no/such.sif"),
    ],
)
def test_an_image_that_is_not_to_be_had(image: str, settings: dict[str, object], words: str, tmp_path: Path):
    with pytest.raises(EngineFailed, match=words):
        environment(image, **settings).build(lambda _: None)
    assert not list(tmp_path.glob("images/*.sif"))


def test_a_machine_without_apptainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert shutil.which("apptainer") is None
    with pytest.raises(EngineFailed, match="no program `apptainer` here"):
        environment(str(tmp_path / "hf.sif")).build(lambda _: None)
    with pytest.raises(ApptainerProblem, match="no program `apptainer` here"):
        _ = environment("docker://owner/image:1").name


def test_what_only_docker_has_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="are Docker's"):
        environment(str(tmp_path / "hf.sif"), network="apart")
    assert apptainer.cache_dir() == tmp_path / "images"
