"""Where a checkpoint is found, what its content is called, and what is said when there is none."""

import shutil
from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.config import Config, ModelConfig, QuantConfig
from runner.planning import checkpoints, hub


def config(model: ModelConfig, quant: str = "bf16", dummy: bool = False) -> Config:
    return Config(model=model, quant=QuantConfig(name=quant, checkpoint=[quant], dummy=dummy))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "config.json").write_text("{}")
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    return checkpoint


def test_content_names_a_folder_and_not_its_place(folder: Path, tmp_path: Path):
    found = checkpoints.find(config(ModelConfig(name="m", checkpoints={"bf16": str(folder)})))
    assert found.location == str(folder)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / ".cache").mkdir()
    (copy / ".cache" / "download.lock").write_text("of a download tool")
    assert checkpoints.folder_digest(copy) == found.digest
    (copy / "model.safetensors").write_bytes(b"other weights")
    assert checkpoints.folder_digest(copy) != found.digest


def test_large_files_are_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoints, "LARGE_BYTES", 1)
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path / "store"))
    first = checkpoints.folder_digest(folder)
    checkpoints._file_digest.cache_clear()
    monkeypatch.setattr(checkpoints, "_sha256", lambda _path: pytest.fail("it was read again"))
    assert checkpoints.folder_digest(folder) == first
    checkpoints._file_digest.cache_clear()


def test_path_wins_over_checkpoints(folder: Path):
    model = ModelConfig(name="m", checkpoints={"bf16": "nowhere"}, path=str(folder))
    assert checkpoints.find(config(model)).location == str(folder)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (ModelConfig(name="m", checkpoints={"bf16": "./nowhere"}), ["no folder ./nowhere", "owner/name"]),
        (ModelConfig(name="m", checkpoints={"fp8": "x/y"}), ["m has no quant=bf16", "fp8", "checkpoints.bf16"]),
        (ModelConfig(name="m", path="."), ["holds no config.json"]),
        (ModelConfig(name="m"), ["names no checkpoint", "model.path=FOLDER"]),
    ],
)
def test_refusals_say_what_would_be_valid(model: ModelConfig, words: list[str], tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused) as caught:
        checkpoints.find(config(model))
    assert all(word in str(caught.value) for word in words)


def test_hub_model_is_named_by_its_commit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "commit", lambda name, revision: f"commit-of-{revision}")
    found = checkpoints.find(config(ModelConfig(name="m", checkpoints={"bf16": "owner/model@abc"})))
    assert (found.location, found.revision) == ("owner/model", "commit-of-abc")
    assert found.digest == "owner/model@commit-of-abc"


def test_dummy_weights_are_named_by_architecture_and_changes(folder: Path):
    def digest(**override: int) -> str:
        model = ModelConfig(name="m", weights="dummy", architecture=str(folder), config_override=dict(override))
        return checkpoints.find(config(model, dummy=True)).digest

    assert digest() == digest() != digest(layers=2)
    with pytest.raises(Refused, match="can't stand in"):
        checkpoints.find(config(ModelConfig(name="m", weights="dummy", architecture=str(folder)), "awq"))
