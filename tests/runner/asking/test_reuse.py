"""What may be taken from the store: the name of a question changes with everything that decides its answer."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from backends.api import Generation
from runner import config
from runner.asking.questions import Generated, Questions
from runner.base import machine, paths
from runner.base.progress import Progress
from runner.datasets.encoded import BadImage
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.store import Shelf

SMALL = ("tracking=none", "dataset.limit=2", "metrics=[]")
Made = Callable[..., tuple[Job, list[str]]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of a demo model's checkpoint, to change."""
    return Path(shutil.copytree(paths.root() / "assets/demo_models/demo_s/bf16", tmp_path / "model"))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A copy of the demo documents, to change."""
    return Path(shutil.copytree(paths.root() / "data/demo_documents", tmp_path / "documents"))


@pytest.fixture
def made(tmp_path: Path, model: Path, documents: Path) -> Made:
    """Plans a job and returns it with the names of its questions."""

    def make(*overrides: str) -> tuple[Job, list[str]]:
        config.register()
        given = [*SMALL, "model=demo_s", f"model.path={model}", f"dataset.path={documents}", *overrides]
        with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
            job = plan(compose("config", given))
        with Progress(job.name, 2) as progress:
            walk = Questions(job, Shelf(tmp_path / "none.jsonl"), Generated(), progress)
            return job, [ask.key for ask in walk.missing()]

    return make


def test_what_decides_a_text_changes_its_name(made: Made, model: Path, documents: Path):
    _, before = made()
    assert made()[1] == before and len(before) == 2
    seen = {tuple(before)}

    def is_new(what: str, *overrides: str) -> None:
        keys = tuple(made(*overrides)[1])
        assert keys not in seen, what
        seen.add(keys)

    for override in ("prompt.system=Read", "sampling.max_tokens=7", "sampling.seed=3", "model.max_pixels=9999",
                     "quant=fp32", "backend.attention=eager"):  # fmt: skip
        is_new(override, override)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    is_new("a byte of the checkpoint")
    (model / "chat_template.jinja").write_text("{{ messages }}")
    is_new("the chat template")
    picture = documents / "images" / "1.png"
    picture.write_bytes(picture.read_bytes() + b"\x00")
    is_new("a byte of a picture")


def test_what_decides_only_the_timing_does_not(made: Made):
    job, before = made()
    for override in ("concurrency=4", "backend.batch_size=4", "backend.threads=2"):
        other, keys = made(override)
        assert keys == before, override
        assert dict(other.conditions) != dict(job.conditions), override


def test_another_version_of_a_library_is_another_environment(tmp_path: Path):
    """A real process with a library more: packages decide texts, so the fingerprint names them."""
    code = "from runner.base.machine import fingerprint; print(fingerprint('current'))"

    def fingerprint() -> str:
        command = [sys.executable, "-c", code]
        variables = {"PYTHONPATH": str(tmp_path)}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout

    before = fingerprint()
    metadata = tmp_path / "gptqmodel-9.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: gptqmodel\nVersion: 9.9\n")
    assert "gptqmodel 9.9" in fingerprint() and fingerprint() != before
    assert before.strip() == machine.fingerprint("current")


def test_a_picture_that_changes_while_the_job_runs_fails_its_question(made: Made, documents: Path, tmp_path: Path):
    """Else the answer to the new picture would be stored under the name of the old one."""
    job, _ = made()
    with Progress(job.name, 2) as progress:
        walk = Questions(job, Shelf(tmp_path / "none.jsonl"), Generated(), progress)
        ask = next(walk.missing())
        assert ask.build().key == ask.key
        walk._read.cache_clear()
        picture = documents / "images" / "1.png"
        picture.write_bytes(picture.read_bytes() + b"\x00")
        with pytest.raises(BadImage, match="changed while the job ran"):
            ask.build()


def test_a_failure_is_never_stored(tmp_path: Path):
    """`append` is only called with answers; a stored failure would be found and not asked again."""
    shelf = Shelf(tmp_path / "s.jsonl")
    shelf.append("k", {}, Generation("k", "text", None))
    assert shelf.find("k", {}).error is None


def test_a_blank_picture_is_told_of_once_and_asked_about(made: Made, documents: Path, tmp_path: Path):
    from PIL import Image

    for path in sorted((documents / "images").iterdir()):
        with Image.open(path) as picture:
            size = picture.size
        Image.new("RGB", size, "white").save(path)
    job, keys = made()
    generated = Generated()
    with Progress(job.name, 2) as progress:
        asked = list(Questions(job, Shelf(tmp_path / "none.jsonl"), generated, progress).missing())
    assert [ask.key for ask in asked] == keys and len(keys) == 2
    ((what, names),) = generated.remarks.items()
    assert "one flat colour" in what and len(names) == len({sample.images[0] for sample in job.dataset})
