"""OCR of pages into the prompt: what is read, kept, sent and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from backends.ocr_engines import tesseract
from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.config.report_settings import constraint_problems
from runner.datasets.api import Image
from runner.datasets.images import BadImage
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.prompts import PromptConfig, ocr
from runner.prompts.ocr import Ocr

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed: apt install tesseract-ocr tesseract-ocr-rus"
)
LOCAL = "model.path=assets/demo_models/demo_s/bf16"


def planned(*overrides: str) -> Job:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", ["tracking=none", *overrides]))


def page(path: Path, text: str) -> Path:
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    picture = PIL.Image.new("RGB", (900, 120), "white")
    PIL.ImageDraw.Draw(picture).text((20, 30), text, "black", font=PIL.ImageFont.load_default(48))
    picture.save(path)
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


def reader() -> Ocr:
    found = ocr.find(PromptConfig(ocr="tesseract"))
    assert found is not None
    return found


@needs_tesseract
def test_a_page_is_read_once_whatever_it_is_called(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch):
    first = page(tmp_path / "1.png", "Invoice 2741 from 12.03.2024")
    text = reader().text((Image(first),))
    assert "2741" in text and "12.03.2024" in text
    copy = tmp_path / "copy.png"
    shutil.copy(first, copy)
    monkeypatch.setattr(Ocr, "_recognise", lambda *_: pytest.fail("it was read again"))
    again = reader()
    assert again.text((Image(copy), Image(first))) == f"{text}\n\n{text}"
    assert again.mean_s() > 0
    (kept,) = (store / "ocr").rglob("*.json")
    assert kept.parent.name.startswith("tesseract-") and "-rus+eng-" in kept.parent.name
    monkeypatch.setattr(ocr, "digests", lambda languages: {f"data.{one}": "other" for one in languages.split("+")})
    assert reader().folder != again.folder, "another file of a language reads otherwise"


@needs_tesseract
def test_a_damaged_picture_and_a_damaged_cache(tmp_path: Path, store: Path):
    whole = page(tmp_path / "1.png", "Total 17")
    text = reader().text((Image(whole),))
    (kept,) = (store / "ocr").rglob("*.json")
    kept.write_text('{"text": "То', encoding="utf-8")
    assert reader().text((Image(whole),)) == text
    broken = tmp_path / "broken.png"
    broken.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(BadImage, match="OCR can't read the page"):
        reader().text((Image(broken),))


@needs_tesseract
def test_a_text_model_is_asked_with_the_text_and_without_the_picture(cli, tmp_path: Path):
    page(cli.folder / "1.png", "Invoice 2741")
    rows = [
        {"id": str(n), "images": ["1.png"], "question": f"Which number? {n}", "references": ["2741"]} for n in (1, 2)
    ]
    (cli.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ["backend.name=echo", "model=ruqwen2_5_3b", "quant=awq", "tracking=none"]
    arguments += [LOCAL.replace("assets", str(paths.root() / "assets")), "dataset=jsonl", "dataset.path=rows.jsonl"]
    arguments += ["sampling.max_tokens=200"]
    ended = cli(*arguments)
    assert ended.code == 0, ended.out + ended.err
    (folder,) = cli.folder.glob("outputs/*/*")
    answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    for number, answer in enumerate(answers, start=1):
        assert "Invoice 2741" in answer["prompt"] and answer["prompt"].endswith(f"Which number? {number}")
        assert answer["text"] == answer["prompt"], "what is recorded was sent"
    measured = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert measured["ocr/mean_s"] > 0
    assert not list(constraint_problems(dict.fromkeys(measured, "<5"))), "each tracked figure can be a constraint"


@needs_tesseract
def test_ocr_is_part_of_a_job():
    plain, read = planned("model=demo_s"), planned("model=demo_s", "prompt.ocr=tesseract")
    other = planned("model=demo_s", "prompt.ocr=tesseract", "prompt.ocr_languages=eng")
    assert len({plain.digest, read.digest, other.digest}) == 3
    assert len({plain.prompt.digest, read.prompt.digest}) == 2
    assert plain.spec == read.spec, "and no reason for another engine"


@needs_tesseract
@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model=demo_s", "prompt.ocr=abbyy"], "one of: tesseract"),
        (["model=demo_s", "prompt.ocr=tesseract", "prompt.ocr_languages=rus+xyz"], "apt install tesseract-ocr-xyz"),
        (["model=demo_s", "prompt.ocr=tesseract", "prompt.ocr_template='{{ ocr }}'"], "{{ prompt }} must stand in it"),
        (["model=layoutlmv3", "quant=fp32", "prompt.ocr=tesseract", LOCAL], "reads pages by itself"),
        (["model=ruqwen2_5_3b", "quant=awq", "prompt.ocr=null", LOCAL], "takes text alone.*prompt.ocr=tesseract"),
    ],
)
def test_what_can_not_be_read_is_refused(overrides: list[str], words: str):
    with pytest.raises(Refused, match=f"(?s){words}".replace("{{", r"\{\{").replace("}}", r"\}\}")):
        planned(*overrides)


def test_without_tesseract_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    import pytesseract

    def missing() -> None:
        raise pytesseract.TesseractNotFoundError

    tesseract.version.cache_clear()
    monkeypatch.setattr(pytesseract, "get_tesseract_version", missing)
    try:
        with pytest.raises(Refused, match="apt install tesseract-ocr"):
            ocr.find(PromptConfig(ocr="tesseract"))
    finally:
        tesseract.version.cache_clear()
