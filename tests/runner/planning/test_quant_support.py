"""The table of quantisations: what can't work is refused while a job is planned, with the reason and the way out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.base import machine, paths
from runner.base.errors import Refused
from runner.config import Config, quant_support
from runner.planning import doctor, engine_spec, hub, machine_check, quant_check
from tests.conftest import ROOT

LOCAL = "model.path=assets/demo_models/demo_s/bf16"  # stands in for weights that are not here
BACKENDS = ("hf", "vllm", "sglang", "llama_cpp")


def given(*overrides: str) -> Config:
    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return config.typed(compose("config", ["tracking=none", *overrides]))


def planned(*overrides: str) -> dict[str, str]:
    return dict(engine_spec.served(given(*overrides))[0].args)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ("a GPU",))
    known = [tuple(map(int, str(each).split("."))) for each in request.param]
    monkeypatch.setattr(machine, "capabilities", lambda: tuple(known))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_every_quantisation_has_a_cell_for_each_engine_and_a_source_with_a_line():
    table = quant_support.load()
    words = {path.stem for path in (paths.conf_dir() / "quant").glob("*.yaml")}
    assert words == set(table.cells) and set(table.releases) == set(BACKENDS)
    for quant, row in table.cells.items():
        assert set(row) == set(BACKENDS), quant
        for backend, cell in row.items():
            is_read = re.search(
                r"\.py:\d+|METADATA|^llama\.cpp b\d+|^torch: any device|^transformers modeling_utils", cell.source
            )
            assert is_read, f"{quant} {backend}: {cell.source}"
            assert (cell.refused is None and cell.only is None) or cell.instead, f"{quant} {backend} shows no way out"


@pytest.mark.parametrize(
    ("overrides", "why", "remedy"),
    [
        (["model=qwen2vl_7b", "quant=gptq_int4", "backend=sglang"], "vision tower", "backend=vllm"),
        (["model=qwen2vl_2b", "quant=gptq_int8", "backend=sglang"], "vision tower", "quant=awq"),
        (["model=qwen2vl_2b", "quant=bnb_int8", "backend=vllm"], "makes 4 bits while loading", "quant=bnb_nf4"),
        (["model=qwen2vl_2b", "quant=bnb_nf4", "backend=sglang"], "SGLang's bitsandbytes", "backend=hf"),
        (["model=qwen2vl_2b", "quant=bnb_nf4", "backend=hf", "env=hf"], "env=hf lacks", "env=hf_bnb"),
        (["model=qwen2vl_2b", "quant=bnb_nf4", "backend=vllm", "env=vllm"], "env=vllm lacks", "env=vllm_bnb"),
        (
            ["model=qwen2vl_2b", "quant=awq", "backend=hf", "env=hf"],
            "needs gptqmodel, which env=hf lacks",
            "env=hf_gptq",
        ),
        (
            ["model=qwen2_5vl_3b", "quant=fp16", "backend=hf"],
            "float16, where its vision tower overflows",
            "backend=vllm",
        ),
        (["model=qwen2_5vl_3b", "quant=awq", "backend=hf"], "float16, where its vision tower overflows", "quant=bf16"),
        (
            ["model=qwen2_5vl_3b", "quant=native", "backend.dtype=float16", "backend=sglang"],
            "backend.dtype",
            "backend=vllm",
        ),
    ],
)
def test_what_can_not_work_is_refused_before_a_download(overrides: list[str], why: str, remedy: str):
    with pytest.raises(Refused) as refused:
        planned(LOCAL, *overrides)
    assert why in str(refused.value) and remedy in str(refused.value)


def test_it_is_refused_where_the_hub_is_not_reached(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "commit", lambda *_, **__: None)
    with pytest.raises(Refused, match="vision tower"):
        planned("model=qwen2vl_7b", "quant=gptq_int4", "backend=sglang")


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=qwen2_5coder_32b", "quant=gptq_int4", "backend=sglang", "prompt.ocr=null"],  # text alone
        ["model=qwen2vl_7b", "quant=gptq_int4", "backend=vllm"],
        ["model=qwen2vl_7b", "quant=awq", "backend=sglang"],
        ["model=qwen2vl_2b", "quant=bnb_nf4", "backend=vllm"],
        ["model=qwen2_5vl_3b", "quant=fp16", "backend=vllm"],  # it clamps
    ],
)
def test_what_works_is_planned(overrides: list[str]):
    planned(LOCAL, *overrides)


@pytest.mark.parametrize(
    ("quantised", "fits"),
    [
        ({"model_type": "qwen2_vl", "quantization_config": {"quant_method": "gptq", "bits": 4}}, False),
        ({"model_type": "qwen3_vl", "quantization_config": {"quant_method": "gptq", "bits": 4}}, True),
        (
            {
                "model_type": "qwen2_vl",
                "quantization_config": {"quant_method": "gptq", "bits": 8, "dynamic": {"-:.*visual.*": {}}},
            },
            True,
        ),
        ({"model_type": "qwen2_vl", "quantization_config": {"quant_method": "awq", "bits": 4}}, True),
    ],
)
def test_a_checkpoint_of_ones_own_is_judged_by_its_config(tmp_path: Path, quantised: dict[str, object], fits: bool):
    (tmp_path / "config.json").write_text(json.dumps(quantised))
    job = ("model=qwen2vl_2b", f"model.path={tmp_path}", "quant=native", "backend=sglang")
    if fits:
        planned(*job)
        return
    with pytest.raises(Refused, match="quant=gptq_int4 on backend=sglang"):
        planned(*job)


@pytest.mark.parametrize(
    ("model", "quant", "backend", "dtype"),
    [
        ("qwen2vl_2b", "awq", "hf", "float16"),
        ("qwen2vl_2b", "awq", "vllm", "auto"),
        ("qwen2vl_2b", "awq", "sglang", "auto"),
        ("qwen2vl_2b", "gptq_int4", "vllm", "auto"),
        ("qwen2_5vl_3b", "awq", "vllm", "auto"),
        ("qwen2_5vl_3b", "awq", "sglang", "bfloat16"),  # its checkpoint may say float16, in which SGLang overflows
    ],
)
def test_awq_and_gptq_force_float16_on_the_hf_engine_alone(model: str, quant: str, backend: str, dtype: str):
    assert planned(LOCAL, f"model={model}", f"quant={quant}", f"backend={backend}")["dtype"] == dtype


@pytest.mark.parametrize("gpu", [(7.5,)], indirect=True)
@pytest.mark.parametrize(
    ("quant", "backend", "refused"),
    [
        ("bf16", "hf", False),
        ("bf16", "vllm", True),
        ("fp16", "vllm", False),
        ("awq", "vllm", False),
        ("awq", "sglang", False),
        ("gptq_int4", "vllm", False),
        ("gptq_int4", "sglang", True),
        ("fp8", "vllm", False),
        ("fp8", "sglang", True),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_a_gpu_that_is_too_old(quant: str, backend: str, refused: bool):
    job = given("model=qwen2vl_2b", f"quant={quant}", f"backend={backend}")
    if not refused:
        machine_check.check(job)
        return
    with pytest.raises(Refused, match=r"compute capability: GPU 8\.0 or newer; here: 7\.5"):
        machine_check.check(job)


@pytest.mark.parametrize(("gpu", "refused"), [((9.0,), False), ((10.0,), True), ((12.0,), True)], indirect=["gpu"])
@pytest.mark.parametrize("backend", ["vllm", "sglang"])
@pytest.mark.usefixtures("gpu")
def test_a_gpu_that_is_too_new(backend: str, refused: bool):
    job = given("model=qwen2vl_2b", "quant=w8a8", f"backend={backend}")
    if not refused:
        machine_check.check(job)
        return
    with pytest.raises(Refused, match=r"or newer, below 10\.0; here: 1[02]\.0\n.*quant=fp8"):
        machine_check.check(job)


@pytest.mark.parametrize("gpu", [(8.6, 7.5)], indirect=True)
@pytest.mark.usefixtures("gpu")
def test_the_best_gpu_that_is_visible_decides(monkeypatch: pytest.MonkeyPatch):
    job = given("model=qwen2vl_2b", "quant=bf16", "backend=vllm")
    machine_check.check(job)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    machine_check.check(job)  # CUDA's second GPU need not be NVML's
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    with pytest.raises(Refused, match=r"here: 7\.5"):
        machine_check.check(job)
    machine_check.check(given("model=demo_m", "quant=bf16", "backend=vllm"))  # env=vllm_cpu uses no GPU


@pytest.mark.parametrize("gpu", [(7.5,)], indirect=True)
@pytest.mark.usefixtures("gpu")
def test_sglang_computes_in_float16_on_an_old_gpu_whatever_it_is_told():
    with pytest.raises(Refused, match=r"computes in float16.*overflows"):
        machine_check.check(given("model=qwen2_5vl_3b", "quant=awq", "backend=sglang"))
    for words in (["quant=fp32"], ["quant=native", "backend.dtype=float32"]):
        quant_check.refuse_here(given("model=qwen2_5vl_3b", "backend=sglang", "env=sglang", *words))


@pytest.mark.parametrize("gpu", [(7.5,)], indirect=True)
@pytest.mark.usefixtures("gpu")
def test_an_engine_that_is_told_to_use_the_cpu_is_not_measured_by_the_gpu():
    asked = ("quant=bf16", "backend=vllm", "env=vllm")
    with pytest.raises(Refused, match="compute capability"):
        quant_check.refuse_here(given(*asked))
    quant_check.refuse_here(given(*asked, "+backend.engine_args.device=cpu"))


@pytest.mark.parametrize(("gpu", "refused"), [((8.6,), False), ((9.0,), True), ((), False)], indirect=["gpu"])
@pytest.mark.usefixtures("gpu")
def test_fp8_needs_its_kernels_where_hf_computes_in_fp8(refused: bool, monkeypatch: pytest.MonkeyPatch):
    machine_check.check(given("model=qwen3vl_2b", "quant=fp8", "backend=hf"))  # env=hf_fp8 has them
    job = given("model=qwen3vl_2b", "quant=fp8", "backend=hf", "env=hf")
    if not refused:
        machine_check.check(job)
        return
    with pytest.raises(Refused, match=r"needs kernels, which env=hf lacks\n.*env=hf_fp8"):
        machine_check.check(job)


def test_an_unknown_word_in_the_table_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "config.yaml").write_text("")
    file = tmp_path / "quant_support.yaml"
    monkeypatch.setenv("RUNNER_CONF", str(tmp_path))
    assert quant_support.load().find("bf16", "hf") is None  # a folder of one's own without a table refuses nothing
    file.write_text("releases: {hf: x}\nquantisations: {bf16: {hf: {source: x, capabilty: 8.0}}}\n")
    quant_support._load.cache_clear()
    with pytest.raises(ValueError, match=r"bf16\.hf: unknown keys capabilty"):
        quant_support.load()
    quant_support._load.cache_clear()


@pytest.mark.parametrize("gpu", [(7.5,)], indirect=True)
@pytest.mark.usefixtures("gpu")
def test_doctor_shows_what_works_on_the_gpu():
    hf, vllm, sglang, llama_cpp = (finding.what for finding in doctor.quantisations())
    assert "not: gguf_f16, gguf_q8_0, gguf_q4_k_m (" in hf
    assert "quant=gguf_f16, gguf_q8_0, gguf_q4_k_m;" in llama_cpp
    assert "compute capability 7.5" in vllm and "not: bf16, bnb_int8" in vllm
    assert "not: bf16, gptq_int4, gptq_int8, w8a8, w4a16, bnb_int8, bnb_nf4, fp8" in sglang
