"""The demo models read what their card says, and the demo documents are what their generator draws.

This is the only test that runs torch in its own process: the card's numbers come from stock transformers.
"""

import csv
import importlib.util
import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS, MODELS = ROOT / "data" / "demo_documents", ROOT / "assets" / "demo_models"
SAMPLE = 60
sys.path.insert(0, str(ROOT / "tools"))  # the tools are scripts and import each other by their plain names

needs_torch = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")),
    reason="needs torch and transformers: pip install -e .[hf]",
)
needs_fonts = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="needs the fonts of the matplotlib wheel"
)


@pytest.fixture(scope="module")
def measured() -> dict:
    return json.loads((MODELS / "measured.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with (DOCUMENTS / "annotation.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def exact_match(references, answers):
    return sum(answer == reference for answer, reference in zip(answers, references, strict=True)) / len(references)


@pytest.fixture(scope="module", params=["demo_m", "demo_s"])
def reading(request):
    """One model's answers, computed in float32, to a sample of the test split, with the right and a wrong page."""
    import torch

    from demo_models.evaluate import Reader, swap_pages
    from measure_demo_models import committed_questions

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        questions = committed_questions(DOCUMENTS)
        chosen = sorted(random.Random(0).sample(range(len(questions)), SAMPLE))
        reader = Reader(MODELS / request.param / "bf16", torch.float32)
        swapped = swap_pages(questions)
        answers = reader.answer([questions[index] for index in chosen])
        control = reader.answer([swapped[index] for index in chosen[: SAMPLE // 2]])
    finally:
        torch.set_num_threads(threads)
    return request.param, chosen, [questions[index].reference for index in chosen], answers, control


@needs_torch
def test_model_answers_as_its_card_says(reading, measured):
    name, chosen, references, answers, _ = reading
    recorded = [measured["models"][name]["test_answers"]["fp32"][index] for index in chosen]
    # Another CPU may round differently and flip a rare close call.
    assert exact_match(recorded, answers) >= 0.95
    assert exact_match(references, answers) == pytest.approx(exact_match(references, recorded), abs=0.034)


@needs_torch
def test_model_does_not_answer_from_memory(reading):
    _, _, references, _, control = reading
    assert exact_match(references[: len(control)], control) <= 0.04


def test_card_numbers_follow_from_recorded_answers(rows, measured):
    references = [row["answer"] for row in rows if row["split"] == "test"]
    for entry in measured["models"].values():
        for variant, answers in entry["test_answers"].items():
            written = entry["variants"][variant]["test"]["plain"]["exact_match"]
            assert written == pytest.approx(exact_match(references, answers), abs=1e-4)


def test_models_differ_beyond_chance(measured):
    strong, weak = (measured["models"][name]["variants"]["bf16"]["test"]["plain"] for name in ("demo_m", "demo_s"))
    assert strong["exact_match"] >= 0.85
    assert strong["cer"] <= 0.06
    assert strong["exact_match_95"][0] > weak["exact_match_95"][1]


def test_committed_values_belong_to_their_split(rows):
    from demo_models.values import split_of

    assert len(rows) == 320
    for row in rows:
        assert split_of(row["answer"]) == row["split"]


@needs_fonts
def test_training_documents_hold_training_values_only():
    from demo_models.drawing import draw_document
    from demo_models.values import split_of

    rng = random.Random("any seed")
    values = [value for _ in range(200) for value in draw_document(rng, "train").fields.values()]
    assert {split_of(value) for value in values} == {"train"}


@needs_fonts
def test_generator_reproduces_committed_pictures():
    from demo_documents import PARTS, draw_part

    for split, _, prefix in PARTS:
        for number, document in enumerate(draw_part(split, 4), 1):
            committed = np.asarray(Image.open(DOCUMENTS / "images" / f"{prefix}{number}.png"))
            assert np.array_equal(committed, document.pixels), (split, number)


@needs_fonts
def test_generator_reproduces_committed_tables(tmp_path):
    from demo_documents import write_documents, write_packages, write_prompts

    write_documents(tmp_path)
    write_packages(tmp_path)
    write_prompts(tmp_path)
    assert (tmp_path / "line_items.jsonl").read_bytes() == (DOCUMENTS / "line_items.jsonl").read_bytes()
    tables = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.csv"))
    assert len(tables) == 3
    for table in tables:
        assert (tmp_path / table).read_bytes() == (DOCUMENTS / table).read_bytes()


def test_packages_hold_what_is_printed_on_their_pages(rows):
    """Each value of a reference stands in the annotation of one of its pages, and nothing of them is left out."""
    from metrics import json_schema

    schema = json_schema.load(DOCUMENTS / "line_items.schema.json")
    printed: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        printed.setdefault(row["image_path"], []).append((row["question_type"], row["answer"]))
    packages = [json.loads(line) for line in (DOCUMENTS / "line_items.jsonl").read_text("utf-8").splitlines()]
    pages = [page for package in packages for page in package["images"]]
    assert len(packages) == 20 and len(set(pages)) == len(pages) == 45
    for package in packages:
        reference = json.loads(package["references"][0])
        assert schema.error(reference) == schema.unlike(reference) == ""
        passport = [reference["паспорт"]] if "паспорт" in reference else []
        listed = [_printed_form(item) for item in [*passport, *reference["счета"]]]
        assert listed == [sorted(printed[page]) for page in package["images"]]
    assert sum("паспорт" not in package["references"][0] for package in packages) == 5


def _printed_form(item: dict) -> list[tuple[str, str]]:
    """Return the values of a reference as they are printed, under the names of the annotation."""
    names = {"дата_рождения": "Дата рождения", "инн": "ИНН"}
    return sorted((names.get(key, key.capitalize()), _as_printed(value)) for key, value in item.items())


def _as_printed(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".replace(".", ",")
    text = str(value)
    return ".".join(reversed(text.split("-"))) if text.count("-") == 2 else text


@pytest.mark.parametrize("name", ["demo_m", "demo_s"])
def test_quantised_variants_are_really_quantised(name):
    safetensors = pytest.importorskip("safetensors", reason="needs safetensors: pip install -e .[hf]")
    stored = {}
    for variant in ("bf16", "w8a8", "w4a16"):
        with safetensors.safe_open(MODELS / name / variant / "model.safetensors", "np") as file:
            layer = [key for key in file.keys() if ".layers.0.mlp.down_proj" in key]  # noqa: SIM118 - not a dict
            stored[variant] = {key: file.get_slice(key).get_dtype() for key in layer}
    assert stored["bf16"] == {"model.layers.0.mlp.down_proj.weight": "BF16"}
    assert stored["w8a8"]["model.layers.0.mlp.down_proj.weight"] == "I8"
    assert stored["w4a16"]["model.layers.0.mlp.down_proj.weight_packed"] == "I32"
