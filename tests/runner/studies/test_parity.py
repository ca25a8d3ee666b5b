from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runner.jobs.folder import JobFolder
from runner.studies.parity import command
from runner.studies.parity import comparison as parity
from tests.conftest import ROOT
from tests.runner.job_folders import job_folder

CHECKPOINT = ROOT / "assets" / "demo_models" / "demo_m" / "bf16"


def job(folder: Path, *overrides: str, **answer: Any) -> None:
    """Write a job with one answer; `answer` replaces fields of it."""
    job_folder(folder, "sampling=greedy", "quant=fp32", *overrides)
    first = json.loads((folder / "answers.jsonl").read_text().splitlines()[0])
    picture = folder.parent / "picture.png"
    Image.new("RGB", (330, 110)).save(picture)
    row = {**first, "images": [str(picture)], "prompt_tokens": 70, "token_ids": [5, 6, 7], **answer}
    (folder / "answers.jsonl").write_text(json.dumps(row) + "\n")
    environment = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps(environment | {"checkpoint": str(CHECKPOINT)}))


def compared(folder: Path) -> parity.Comparison:
    (one,) = parity.compare(JobFolder.below(folder))
    return one


HF = {"image_tokens": 48, "image_sizes": [[336, 112]], "prompt_digest": "same"}


def test_the_same_input_and_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path / "b", "backend=vllm", image_tokens=48, prompt_digest="same")
    job(tmp_path / "a", "backend=hf", **HF)
    one = compared(tmp_path)
    assert (one.baseline.label, one.other.label) == ("hf", "vllm"), "hf is the baseline wherever it stands"
    assert (one.compared, one.same_text, one.same_ids, one.agreement, one.proven) == (1, 1, 1, 1.0, 1)
    assert not one.differences and not one.divergences and parity.warnings(JobFolder.below(tmp_path)) == []
    (seen,) = one.other.seen.values()
    assert seen.pixels == ((336, 112),) and seen.pixels_by == "by the processor's rule, confirmed by the tokens"
    command.summarise(tmp_path, JobFolder.below(tmp_path))
    said = capsys.readouterr().out
    assert "1 of 1 token for token" in said and "the same, token for token" in said and "temperature=0.0" in said
    (kept,) = json.loads((tmp_path / command.FILE).read_text())
    assert kept["agreement"] == 1.0 and kept["seen"]["other"][0]["visual_tokens"] == 48


def test_the_table_says_whether_qwens_own_package_gives_other_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    job(tmp_path / "a", "backend=hf", **HF)
    job(tmp_path / "b", "backend=vllm", image_tokens=48, prompt_digest="same")
    said = "0.0.14: the same sizes for 1 of 1 pictures"
    environment = json.loads((tmp_path / "a" / "environment.json").read_text())
    told = environment | {"engine": {"qwen_vl_utils": said}}
    (tmp_path / "a" / "environment.json").write_text(json.dumps(told))
    command.summarise(tmp_path, JobFolder.below(tmp_path))
    assert "qwen-vl-utils" in capsys.readouterr().out
    (kept,) = json.loads((tmp_path / command.FILE).read_text())
    assert kept["qwen_vl_utils"] == {"baseline": said}


def test_what_decides_no_figure_keeps_no_pair_apart(tmp_path: Path) -> None:
    job(tmp_path / "a", "backend=hf", **HF)
    job(tmp_path / "b", "backend=vllm", "report.language=ru", "reuse=never", "max_failed=0.1", "objective=null")
    assert compared(tmp_path).other.label == "vllm"


def test_gguf_files_stand_beside_the_hf_engines_whole_precision(tmp_path: Path) -> None:
    job(tmp_path / "a", "backend=hf", **HF)
    job(tmp_path / "b", "backend=hf", "quant=bf16", **HF)
    job(tmp_path / "c", "quant=gguf_q8_0", token_ids=None)
    job(tmp_path / "d", "quant=gguf_q4_k_m", token_ids=None, text="Петрова")
    q4, q8 = sorted(parity.compare(JobFolder.below(tmp_path)), key=lambda one: one.other.label)
    assert (q8.group, q8.other.label, q8.same_text) == (q4.group, "llama_cpp (gguf_q8_0)", 1)
    assert (q4.baseline.folder.name, q4.other.label, q4.agreement) == ("a", "llama_cpp (gguf_q4_k_m)", 0.0)


def test_visual_tokens_are_derived_from_the_text_that_another_backend_counted(tmp_path: Path) -> None:
    job(tmp_path / "a", "backend=hf", **HF)
    job(tmp_path / "b", "backend=sglang", prompt_tokens=60, token_ids=None)
    one = compared(tmp_path)
    (seen,) = one.other.seen.values()
    assert (seen.visual_tokens, seen.tokens_by) == (38, "prompt less the text of hf")
    assert one.differences == {"prompt tokens": 1, "visual tokens": 1}
    assert (one.same_text, one.with_ids, one.agreement) == (1, 0, 1.0), "without ids texts are compared"
    (warning,) = parity.warnings(JobFolder.below(tmp_path))
    assert "did not see the same input (prompt tokens in 1 of 1, visual tokens in 1 of 1)" in warning


def test_the_first_token_that_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(tmp_path / "a", "backend=hf", **HF)
    job(tmp_path / "b", "backend=vllm", token_ids=[5, 9, 7], text="Петрова", image_tokens=40)
    one = compared(tmp_path)
    assert one.divergences == (parity.Divergence("0", 1, ("Петров", "Петрова")),)
    (seen,) = one.other.seen.values()
    assert "REFUTED" in seen.pixels_by
    command.summarise(tmp_path, JobFolder.below(tmp_path))
    said = capsys.readouterr().out
    assert "sample 0 from token 1: 'Петров' | 'Петрова'" in said and "WARNING" in said


@pytest.mark.parametrize(
    ("one", "other", "position"),
    [([1, 2], [1, 2], None), ([1, 2], [1], 1), ([], [4], 0), ([1, 2], [3, 2], 0), (None, [1], None)],
)
def test_first_difference(one: list[int] | None, other: list[int], position: int | None) -> None:
    assert parity.first_difference(one, other) == position


def test_jobs_that_differ_in_more_than_the_backend_are_not_compared(tmp_path: Path) -> None:
    job(tmp_path / "a", "backend=hf", **HF)
    job(tmp_path / "b", "backend=vllm", "model.max_pixels=6272")
    job(tmp_path / "c", "backend=hf", "quant=bf16")
    assert parity.compare(JobFolder.below(tmp_path)) == []


def test_where_a_part_of_the_page_was_sent_the_whole_page_proves_nothing(tmp_path: Path) -> None:
    job(tmp_path / "b", "backend=vllm", "dataset.region=answer_bbox", image_tokens=48, prompt_digest="same")
    job(tmp_path / "a", "backend=hf", "dataset.region=answer_bbox", **HF)
    (seen,) = compared(tmp_path).other.seen.values()
    assert seen.pixels is None and seen.pixels_by == "unknown"
