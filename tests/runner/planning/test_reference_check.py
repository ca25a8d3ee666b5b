"""References are held against the schema of `kie` before an engine starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning import opened
from runner.planning.job import Job
from runner.planning.plan import plan
from tests.runner.planning.reference_rows import write_rows

SCHEMA = {"type": "object", "required": ["номер"], "properties": {"номер": {"type": "string"}}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a picture, a schema, and rows of which two don't fit it."""
    monkeypatch.chdir(tmp_path)
    page = next((paths.root() / "data/demo_documents").rglob("*.png"))
    (tmp_path / "1.png").write_bytes(page.read_bytes())
    (tmp_path / "счёт.json").write_text(json.dumps(SCHEMA, ensure_ascii=False), encoding="utf-8")
    references = ['{"номер": "1"}', '{"сумма": "5"}', "не JSON", '{"номер": "2", "сумма": "5"}']
    write_rows(tmp_path, references)
    return tmp_path


def planned(*overrides: str) -> Job:
    config.register()
    opened.forget()  # a test writes its rows anew
    asked = ["tracking=none", "dataset=jsonl", "dataset.path=rows.jsonl", "metrics=[kie]", *overrides]
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", asked))


def test_references_with_other_keys_are_refused_with_file_and_row(folder: Path):
    with pytest.raises(Refused) as refused:
        planned("metrics.kie.schema='счёт.json'")
    other = "the reference has 'сумма', which the schema doesn't name"
    assert [(problem.where, problem.what) for problem in refused.value.problems] == [
        ("rows.jsonl:2", f"the reference lacks 'номер', which the schema requires; {other}"),
        ("rows.jsonl:4", other),
    ]


def test_rows_that_fit_or_hold_no_json_are_asked(folder: Path):
    assert len(planned().dataset) == 4  # without a schema nothing is said of keys
    (folder / "rows.jsonl").write_text((folder / "rows.jsonl").read_text("utf-8").splitlines()[0], encoding="utf-8")
    assert planned("metrics.kie.schema='счёт.json'").metrics["kie"].version.startswith("2 NFC")


@pytest.mark.parametrize(
    ("name", "message"),
    [("rows.jsonl", r"rows\.jsonl is not JSON"), ("gone.json", r"gone\.json can't be read"), ("1.png", "is not JSON")],
)
def test_what_is_no_schema_is_refused(folder: Path, name: str, message: str):
    with pytest.raises(Refused, match=message):
        planned(f"metrics.kie.schema={name}")


def test_many_rows_that_do_not_fit_are_counted(folder: Path):
    row = json.loads((folder / "rows.jsonl").read_text("utf-8").splitlines()[1])
    lines = [json.dumps(row | {"id": str(number)}, ensure_ascii=False) for number in range(50)]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(Refused) as refused:
        planned("metrics.kie.schema='счёт.json'")
    assert len(refused.value.problems) == 21
    assert "30 more references" in refused.value.problems[-1].what


def boxes(folder: Path, reference: str) -> None:
    (folder / "2.png").write_bytes((folder / "1.png").read_bytes())  # a second document
    row = {"question": "Где?", "references": [reference], "place": [1, 1, 50, 50]}
    lines = [json.dumps(row | {"id": name, "images": [f"{name}.png"]}) for name in "12"]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(("right", "wrong"), [("pixels", "0-1"), ("0-1", "pixels")])
def test_what_one_frame_finds_says_nothing_of_another(folder: Path, right: str, wrong: str):
    boxes(folder, "[10, 10, 50, 50]" if right == "pixels" else "[0.1, 0.1, 0.2, 3.0]")
    asked = ("metrics=[grounding]", "metrics.grounding.reference_frame=")
    frames = (wrong, right) if right == "pixels" else (right, wrong)
    outcomes = []
    for frame in frames:
        try:
            planned(asked[0], asked[1] + frame)
            outcomes.append("taken")
        except Refused:
            outcomes.append("refused")
    assert outcomes == ["refused", "taken"]


def test_pictures_of_another_size_are_looked_at_anew(folder: Path):
    from PIL import Image

    boxes(folder, "[10, 10, 50, 50]")
    (folder / "small").mkdir()
    for name in "12":
        Image.new("RGB", (20, 20)).save(folder / "small" / f"{name}.png")
    planned("metrics=[grounding]")
    with pytest.raises(Refused, match="page"):
        planned("metrics=[grounding]", "dataset.images=small")


@pytest.mark.parametrize(
    "key", ["dataset.region=place", "dataset.other_pages=1", "dataset.blind=other_document", "dataset.blind=no_image"]
)
def test_places_are_counted_on_the_page_that_is_shown(folder: Path, key: str):
    boxes(folder, "[10, 10, 50, 50]")
    with pytest.raises(Refused, match="counts places on the page") as refused:
        planned("metrics=[grounding]", key)
    assert any(problem.where == key.partition("=")[0] for problem in refused.value.problems)
    assert "blind=none" in str(refused.value) or "blind" not in key
