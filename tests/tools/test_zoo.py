"""tools/zoo.py: made releases, the installed transformers, and the engines' environments where they are built."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

import zoo
from runner.config import model_facts

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
VLLM = """
_TEXT_GENERATION_MODELS = {"TextForCausalLM": ("text", "TextForCausalLM")}
_MULTIMODAL_MODELS = {
    "SeesOCRForCausalLM": ("sees", "SeesOCRForCausalLM"),
    "HearsForCausalLM": ("hears", "HearsForCausalLM"),
    "NewParseModel": ("vllm.models.new_parse", "NewParseModel"),
}
_TRANSFORMERS_SUPPORTED_MODELS: dict = {"LentForConditionalGeneration": ("transformers", "MultiModal")}
_VLLM_MODELS = {**_TEXT_GENERATION_MODELS, **_MULTIMODAL_MODELS}
"""
MODULES = {
    "vllm/model_executor/models/registry.py": VLLM,
    "vllm/model_executor/models/sees.py": 'def limits():\n    return {"image": None}\n',
    "vllm/model_executor/models/hears.py": 'def limits():\n    return {"audio": None}\n',
    "vllm/models/new_parse/model.py": 'LIMITS = {"image": 1, "audio": 1}\n',
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A zoo of three: one that vLLM has, one that it lacks, one that it has and whose file doesn't say so."""
    (folder := tmp_path / "conf" / "model").mkdir(parents=True)
    (folder / "sees.yaml").write_text("{name: sees, backends: [hf, vllm]}")
    (folder / "gone.yaml").write_text("{name: gone, backends: [vllm]}")
    (folder / "lent.yaml").write_text("{name: lent, backends: [hf]}")
    (folder.parent / "model_facts.yaml").write_text(
        "sources: {}\nbuilt: []\nmodels:\n  sees: {architecture: SeesOCRForCausalLM}\n"
        "  gone: {architecture: GoneForCausalLM}\n  lent: {architecture: LentForConditionalGeneration}\n"
    )
    return folder.parent


@pytest.fixture(params=["folder", "wheel"])
def vllm(request, tmp_path: Path) -> str:
    """A made release of vLLM, as an installed folder and as a wheel."""
    if request.param == "wheel":
        wheel = tmp_path / "vllm-9.1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, source in MODULES.items():
                archive.writestr(name, source)
        return str(wheel)
    for name, source in MODULES.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(source)
    (tmp_path / "site" / "vllm-9.1.0.dist-info").mkdir()
    return str(tmp_path / "site" / "vllm")


def test_a_release_is_held_against_the_zoo(vllm, conf, capsys):
    found = zoo.release(vllm)
    assert (found.package, found.version) == ("vllm", "9.1.0")
    assert zoo.compare(zoo.registry(found), "vllm", conf) == zoo.Finding(
        loads=("lent", "sees"), unlisted=("lent",), missing=("gone",), lacking=("NewParseModel",)
    )
    assert zoo.main([vllm, "--conf", str(conf)]) == 1
    told = capsys.readouterr().out
    assert "For documents, by its name, and in no model of ours (1):\n  NewParseModel" in told
    assert "HearsForCausalLM" not in told


@pytest.mark.parametrize("given", ["vllm-9.1.0-py3-none-any.whl", "requests", "site/other"])
def test_what_is_no_release_is_said(given, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site" / "other").mkdir(parents=True)
    assert zoo.main([given]) == 2
    assert given.rpartition("/")[2] in capsys.readouterr().err


def test_a_registry_that_moved_is_no_empty_registry(tmp_path, capsys):
    (tmp_path / "vllm").mkdir()
    assert zoo.main([str(tmp_path / "vllm")]) == 2
    assert "its registry has moved" in capsys.readouterr().err


def test_the_installed_transformers_loads_every_model_that_names_hf():
    finding = zoo.compare(zoo.registry(zoo.release("transformers")), "hf", CONF)
    assert finding.missing == ()
    assert {"qwen3_6_27b", "glm_ocr", "paddleocr_vl_1_6", "granite_docling"} <= set(finding.loads)
    assert "dots_ocr" not in finding.loads


@pytest.mark.parametrize("package", ["vllm", "sglang"])
def test_an_engine_has_every_model_that_names_it(package):
    """By the registry of the CPU environment, where `make test-engines` has built it."""
    home = Path(os.environ.get("RUNNER_ENVS") or "~/.cache/vlm-runner/envs").expanduser()
    found = sorted(home.glob(f"{package}_cpu-*/lib/python3*/site-packages/{package}"))
    if not found:
        pytest.skip(f"no environment {package}_cpu is built here: make test-engines builds it")
    finding = zoo.compare(zoo.registry(zoo.release(str(found[-1]))), package, CONF)
    assert finding.missing == ()
    assert {"qwen3_6_27b", "dots_mocr", "lighton_ocr_2", "paddleocr_vl_1_6"} <= set(finding.loads)


def test_built_is_said_of_what_the_tests_build():
    from transformers.models.auto import modeling_auto

    from tests.backends.hf_server.test_hf_server_zoo import KINDS, WITH_TORCHVISION

    names = modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    here = {names[kind] for kind in KINDS if kind not in WITH_TORCHVISION}
    # test_hf_server_models.py and test_hf_server_document_qa.py build the others.
    older = {
        *(names[kind] for kind in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava")),
        "Qwen2ForCausalLM",
        "LayoutLMv3ForQuestionAnswering",
    }
    assert model_facts.table(CONF).built == here | older


def test_every_figure_names_its_source(tmp_path):
    for name, facts in model_facts.table(CONF).models.items():
        assert (CONF / "model" / f"{name}.yaml").is_file()
        figures = (facts.parameters, facts.active, facts.gpu_gb, facts.context)
        assert facts.source or figures == (None,) * 4, name
        assert facts.prompt_source or facts.prompt is None, name
    (tmp_path / "model_facts.yaml").write_text(
        "{sources: {}, built: [], models: {a: {parameters: 1, source: hearsay}}}"
    )
    with pytest.raises(ValueError, match="hearsay"):
        model_facts.table(tmp_path)
