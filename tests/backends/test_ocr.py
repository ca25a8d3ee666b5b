"""Classic OCR as a backend: its command line, what it refuses, what it says of itself."""

from __future__ import annotations

import json

import pytest

from backends.api import EngineSpec, Launch
from backends.ocr import OcrBackend

TESSERACT = {"engine_args.engine": "tesseract", "engine_args.languages": "rus+eng"}


def spec(quant: str = "native", weights: str = "real", **args: str) -> EngineSpec:
    # What the runner says to every backend is no setting of a program.
    args = {"family": "auto", "device": "auto", "dtype": "auto", "quantization": "none"} | args
    return EngineSpec("ocr", "tesseract", quant=quant, weights=weights, args=tuple(sorted(args.items())))


def launched(**args: str) -> Launch:
    return OcrBackend().launch(spec(**args), 41713)


def option(launch: Launch, name: str) -> str:
    return launch.argv[launch.argv.index(name) + 1]


def test_the_command_of_tesseract():
    launch = launched(**TESSERACT, **{"engine_args.psm": "6", "batch_size": "2", "threads": "1"})
    assert launch.argv[:3] == ("python", "-m", "backends.ocr_server")
    said = [option(launch, name) for name in ("--engine", "--languages", "--psm", "--workers", "--port")]
    assert said == ["tesseract", "rus+eng", "6", "2", "41713"]
    assert launch.variables["OMP_THREAD_LIMIT"] == "1"
    assert not launch.token_ids, "it draws no tokens"


def test_the_command_of_rapidocr():
    launch = launched(**{"engine_args.engine": "rapidocr", "threads": "2"})
    assert option(launch, "--engine") == "rapidocr" and option(launch, "--threads") == "2"
    assert "--languages" not in launch.argv and "--boxes" not in launch.argv


@pytest.mark.parametrize("engine", ["tesseract", "rapidocr"])
def test_boxes_are_asked_for_and_told_of(engine: str):
    assert option(launched(**{"engine_args.engine": engine, "engine_args.boxes": "lines"}), "--boxes") == "lines"
    account = json.dumps({"engine": engine, "boxes": "lines", "facts": {}})
    assert OcrBackend().statistics("", account, "").facts["boxes"] == "lines"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({}, "which OCR program.*model=tesseract_rus"),
        ({"engine_args.engine": "abbyy"}, "'abbyy' is not one of tesseract, rapidocr"),
        (TESSERACT | {"quant": "bf16"}, "has no quantisation; leave quant out"),
        (TESSERACT | {"weights": "dummy"}, "has its own"),
        (TESSERACT | {"engine_args.psm": "0"}, "psm=0: 1 to 13"),
        (TESSERACT | {"engine_args.psm": "six"}, "psm=six: 1 to 13"),
        (TESSERACT | {"engine_args.oem": "1"}, "tesseract has no such option; it has: languages, psm, boxes"),
        ({"engine_args.engine": "rapidocr", "engine_args.languages": "rus"}, "rapidocr has no such option"),
        ({"engine_args.engine": "rapidocr", "engine_args.boxes": "words"}, "boxes=words: rapidocr has: none, lines"),
        (TESSERACT | {"engine_args.boxes": "true"}, "boxes=true: tesseract has: none, lines, words"),
        ({"engine_args.engine": "rapidocr", "batch_size": "4"}, "one page at a time"),
        (TESSERACT | {"max_pixels": "100"}, "no setting max_pixels=100"),
        (TESSERACT | {"adapter": "folder"}, "no setting adapter=folder"),
    ],
)
def test_what_it_refuses(args: dict[str, str], words: str):
    with pytest.raises(ValueError, match=words):
        launched(**args)


@pytest.mark.parametrize(
    ("args", "lacks"),
    [
        (TESSERACT, ""),
        (TESSERACT | {"engine_args.languages": "eng+ukr"}, ""),
        (TESSERACT | {"engine_args.languages": "eng"}, "tesseract reads eng"),
        ({"engine_args.engine": "rapidocr"}, "has no Cyrillic"),
    ],
)
def test_it_knows_who_has_no_cyrillic_letters(args: dict[str, str], lacks: str):
    said = OcrBackend().lacks_cyrillic(spec(**args))
    assert lacks in said and bool(said) == bool(lacks)


def test_what_the_server_said_last_is_the_reason():
    line = (
        "2026-11-28 10:00:00,000 ERROR backends.ocr_server: cannot load tesseract: tesseract has no language xyz here"
    )
    failure = OcrBackend().translate(f"Traceback ...\n{line}\n")
    assert failure is not None and failure.message == "tesseract has no language xyz here"
    missing = OcrBackend().translate("ModuleNotFoundError: No module named 'rapidocr'")
    assert missing is not None and "no rapidocr" in missing.message
    assert OcrBackend().translate("all is well") is None


def test_its_account_becomes_facts():
    account = {"engine": "tesseract", "languages": "rus", "psm": 3, "facts": {"version.tesseract": "5.3.0"}}
    stats = OcrBackend().statistics("", json.dumps(account), "")
    assert stats.facts == {"engine": "tesseract", "languages": "rus", "psm": "3", "version.tesseract": "5.3.0"}
    for odd in ("", "[]", "{}", '{"facts": 3}'):
        assert OcrBackend().statistics("", odd, "").notes
