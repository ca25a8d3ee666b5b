"""A program that reads pages is a candidate like a model: chosen by name, told of, part of the key, compared."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from backends.ocr_engines import OcrMissing, tesseract
from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning.job import Job
from runner.planning.plan import plan, warn
from tests.conftest import CommandLine

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed: apt install tesseract-ocr tesseract-ocr-rus"
)


def planned(*overrides: str) -> Job:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", ["tracking=none", *overrides]))


@needs_tesseract
def test_the_model_chooses_its_backend_and_the_program_is_part_of_the_key():
    job = planned("model=tesseract_rus")
    assert (job.spec.backend, job.spec.quant, job.spec.checkpoint) == ("ocr", "native", "tesseract")
    assert f"version.tesseract={tesseract.version()}" in job.spec.digest
    for language in ("rus", "eng"):
        assert f"data.{language}={tesseract.digests('rus+eng')[f'data.{language}']}" in job.spec.digest
    assert "unknown" not in job.spec.digest
    others = [planned("model=tesseract_rus", more) for more in (
        "+backend.engine_args.languages=rus", "+backend.engine_args.psm=6", "dataset.region=answer_bbox")]  # fmt: skip
    assert len({job.digest, *(one.digest for one in others)}) == 4


@needs_tesseract
def test_another_version_of_the_program_is_another_model(monkeypatch: pytest.MonkeyPatch):
    before = planned("model=tesseract_rus")
    monkeypatch.setattr(tesseract, "version", lambda: "9.9.9")
    after = planned("model=tesseract_rus")
    assert "9.9.9" in after.spec.digest
    assert before.identity["model"] != after.identity["model"] and before.digest != after.digest


def test_a_program_that_is_missing_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    def missing(*_: object) -> None:
        raise OcrMissing("tesseract does not run here: not in PATH", "apt install tesseract-ocr")

    monkeypatch.setattr(tesseract, "check", missing)
    with pytest.raises(
        Refused, match=r"(?s)model=tesseract_rus: tesseract does not run here.*apt install tesseract-ocr"
    ):
        planned("model=tesseract_rus")


def test_rapidocr_has_an_environment_that_names_its_weights():
    job = planned("model=rapidocr")
    assert job.spec.env.startswith("rapidocr@") and job.spec.env in job.spec.digest
    requirements = (paths.root() / "envs" / "rapidocr.txt").read_text()
    assert "\nrapidocr==3.10.0\n" in requirements, "the version that carries the weights"


@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is not None, reason="rapidocr is installed beside the runner")
def test_rapidocr_in_an_environment_without_it_is_refused():
    with pytest.raises(Refused, match=r"(?s)rapidocr and onnxruntime are not installed here.*env=rapidocr"):
        planned("model=rapidocr", "env=current")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model=demo_m", "backend=ocr"], "which OCR program.*model=tesseract_rus"),
        (["model=qwen2vl_2b", "backend=ocr"], "does not run on backend=ocr"),
        (["model=rapidocr", "backend=hf"], "does not run on backend=hf.*it runs on: ocr"),
        (["model=rapidocr", "quant=bf16"], "has no quantisation"),
        (["model=rapidocr", "model.max_pixels=100352"], "no setting max_pixels"),
        (["model=rapidocr", "prompt.ocr=tesseract"], "is an OCR program"),
        (["model=rapidocr", "dataset.blind=no_image"], "dataset.blind: .* no picture that it could read"),
    ],
)
def test_what_has_no_meaning_is_refused(overrides: list[str], words: str):
    with pytest.raises(Refused, match=f"(?s){words}"):
        planned(*overrides)


def told(job: Job, caplog: pytest.LogCaptureFixture) -> str:
    with caplog.at_level(logging.WARNING):
        warn(job)
    return caplog.text


def test_it_is_told_that_the_prompt_has_no_say_and_that_letters_are_missing(caplog: pytest.LogCaptureFixture):
    said = told(planned("model=rapidocr"), caplog)
    assert "neither prompt nor sampling had a say" in said and "metrics=[found]" in said
    assert "60 of 240 samples have references with Cyrillic letters" in said
    assert "no Cyrillic; model=tesseract_rus has" in said


def test_it_is_told_which_metrics_do_not_read_boxes(caplog: pytest.LogCaptureFixture):
    boxes = ("model=rapidocr", "dataset=demo_pages", "+backend.engine_args.boxes=lines")
    said = told(planned(*boxes, "metrics=[page,cer,found]", "metrics.page.reference_adapters=[layout_json]"), caplog)
    assert "what stands on the page and where, as JSON, which cer, found can't read: leave boxes out" in said
    caplog.clear()
    said = told(planned(*boxes, "metrics=[grounding]"), caplog)
    assert "and where, as JSON" in said and "can't read" not in said and "metrics=[found]" not in said


def test_boxes_on_several_pictures_are_refused_with_file_and_row(tmp_path: Path):
    Image.new("RGB", (20, 20)).save(tmp_path / "1.png")
    rows = [{"id": str(n), "images": ["1.png"] * n, "question": "?"} for n in (1, 2)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("model=rapidocr", "dataset=jsonl", f"dataset.path={tmp_path}/rows.jsonl", "metrics=[]")
    assert planned(*asked).spec.checkpoint == "rapidocr"
    with pytest.raises(Refused, match=r"(?s)rows\.jsonl:2: sample '2' has several pictures.*a question of its own"):
        planned(*asked, "+backend.engine_args.boxes=lines")


def test_references_without_cyrillic_letters_are_no_reason_to_warn(caplog: pytest.LogCaptureFixture):
    said = told(planned("model=rapidocr", "dataset.field='Дата рождения'"), caplog)
    assert "neither prompt" in said and "Cyrillic" not in said


@needs_tesseract
def test_models_and_a_program_in_one_sweep(cli: CommandLine):
    ended = cli("-m", "model=demo_s,tesseract_rus", "dataset.limit=4", "metrics=[found,exact_match]")
    assert ended.code == 0, ended.out + ended.err
    found = {}
    for path in cli.folder.glob("multirun/*/*/*/metrics.json"):
        found[json.loads(path.read_text())["name"]] = path.parent
    read = found["tesseract_rus-native"]
    metrics = json.loads((read / "metrics.json").read_text())["metrics"]
    assert metrics["quality/found"] == 1 and metrics["quality/exact_match"] == 0
    assert metrics["latency/p50_s"] > 0 and metrics["memory/cpu_peak_gib"] > 0 and metrics["engine/starts"] == 1
    assert "throughput/output_tokens_per_s" not in metrics, "it draws no tokens, and their number is not 0"
    facts = json.loads((read / "environment.json").read_text())["engine"]
    assert facts["version.tesseract"] and facts["data.rus"]
    rows = [json.loads(line) for line in (read / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all("ПАСПОРТ" in row["text"] and "Федорко" in row["text"] for row in rows)
    notes = json.loads((read / "metrics.json").read_text())["notes"]
    assert any("neither prompt nor sampling had a say" in note for note in notes)
    digests = {json.loads((folder / "environment.json").read_text())["dataset_digest"] for folder in found.values()}
    assert len(found) == 2 and len(digests) == 1
    assert (read / "run_id").exists(), "tracked like every job"
    page = next(Path(cli.folder).glob("multirun/*/*/report.html")).read_text(encoding="utf-8")
    assert "tesseract_rus" in page and "demo_s" in page
    assert "it gives the text of the whole page, whatever is asked" in page, "found alone would recommend it"


def test_what_reads_a_page_is_part_of_the_code_that_decides_an_answer():
    from backends.ocr import OcrBackend
    from runner.planning import backend_code

    named = backend_code._with_siblings(OcrBackend.__module__)
    assert {"backends.ocr_engines.tesseract", "backends.ocr_engines.rapid"} <= named
