"""A limit on pixels that an image processor doesn't know is refused while a job is planned, on every engine."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.base.errors import Refused
from runner.planning import checkpoints, engine_spec, hub, pixel_limits
from runner.planning.checkpoints import Checkpoint
from tests.conftest import ROOT


def plan(folder: Path, *overrides: str) -> None:
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        job = compose("config", ["tracking=none", "model=demo_m", f"model.path={folder}", *overrides])
    engine_spec.served(config.typed(job))


def checkpoint(folder: Path, processor: str, file: str = "preprocessor_config.json") -> Path:
    (folder / "config.json").write_text("{}")
    own = {"image_processor_type": processor}
    (folder / file).write_text(json.dumps({"image_processor": own} if file.startswith("processor") else own))
    return folder


@pytest.mark.parametrize("backend", ["hf", "vllm", "sglang"])
@pytest.mark.parametrize(
    "processor",
    ["Gemma3ImageProcessor", "GotOcr2ImageProcessorFast", "PixtralImageProcessor", "LlavaOnevisionImageProcessorFast",
     "SmolVLMImageProcessorPil", "CLIPImageProcessor"],
)  # fmt: skip
def test_processors_without_limits(tmp_path: Path, backend: str, processor: str):
    folder = checkpoint(tmp_path, processor)
    with pytest.raises(Refused, match=rf"model\.max_pixels.*{processor}.*no limits(.|\n)*model\.max_pixels=null"):
        plan(folder, f"backend={backend}", "model.max_pixels=401408")
    with pytest.raises(Refused, match=r"model\.min_pixels"):
        plan(folder, f"backend={backend}", "model.min_pixels=3136")
    plan(folder, f"backend={backend}")


@pytest.mark.parametrize("backend", ["hf", "vllm", "sglang"])
@pytest.mark.parametrize("file", ["preprocessor_config.json", "processor_config.json"])
def test_processors_with_limits(tmp_path: Path, backend: str, file: str):
    plan(checkpoint(tmp_path, "Qwen2VLImageProcessorFast", file), f"backend={backend}", "model.max_pixels=401408")


def test_limits_that_count_frames_are_converted_by_the_hf_engine_alone(tmp_path: Path):
    folder = checkpoint(tmp_path, "Glm4vImageProcessor")
    plan(folder, "backend=hf", "model.max_pixels=401408")
    for backend in ("vllm", "sglang"):
        with pytest.raises(Refused, match=r"counts frames(.|\n)*backend=hf"):
            plan(folder, f"backend={backend}", "model.max_pixels=401408")


def test_an_unknown_processor_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    plan(checkpoint(tmp_path, "KeyeImageProcessor"), "backend=vllm", "model.max_pixels=401408")
    assert "whether KeyeImageProcessor follows it on backend=vllm is not known" in caplog.text


def test_a_hub_model_is_judged_by_one_small_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    fetched: list[str] = []

    def download(name: str, file: str, revision: str, **_: object) -> str:
        fetched.append(f"{name}@{revision} {file}")
        cached = tmp_path / "models--owner--Gemma" / "snapshots" / revision
        cached.mkdir(parents=True, exist_ok=True)
        (cached / file).write_text('{"image_processor_type": "Gemma3ImageProcessor"}')
        return str(cached / file)

    import huggingface_hub
    from huggingface_hub import constants

    commit = "b" * 40
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    pixel_limits._fetched.cache_clear()
    asked = Checkpoint("owner/Gemma", commit, f"owner/Gemma@{commit}")
    assert checkpoints.read_json("owner/Gemma", commit, "preprocessor_config.json") == {}
    assert pixel_limits._processor(asked, fetch=False) == "" and fetched == []
    monkeypatch.setattr(hub, "gives", lambda *_: True)
    assert pixel_limits._processor(asked, fetch=True) == "Gemma3ImageProcessor"
    assert fetched == [f"owner/Gemma@{commit} preprocessor_config.json"]
    pixel_limits._fetched.cache_clear()


def test_the_table_says_what_the_classes_of_transformers_say():
    found = importlib.util.find_spec("transformers")
    if found is None or found.origin is None:
        pytest.skip("transformers is not installed here")
    models = Path(found.origin).parent / "models"
    kinds: dict[str, str] = {}
    for file in models.glob("*/image_processing_*.py"):
        if "_pil_" in file.name:
            continue
        text = file.read_text(encoding="utf-8")
        if not any(f"class {name}(" in text for name in pixel_limits._kinds(ROOT / "conf" / pixel_limits.FILE)):
            continue
        classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
        takes = any(
            isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.target.id == "max_pixels"
            for node in classes
            for line in node.body
        )
        kind = "area" if takes else "volume" if "num_frames" in text and "smart_resize" in text else "none"
        kinds |= {node.name: kind for node in classes if node.name.endswith("ImageProcessor")}
    told = pixel_limits._kinds(ROOT / "conf" / pixel_limits.FILE)
    assert len(set(told) & set(kinds)) > 30
    assert {name: kind for name, kind in told.items() if name in kinds and kinds[name] != kind} == {}
