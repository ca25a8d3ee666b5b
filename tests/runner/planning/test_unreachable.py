"""References that an answer held to the schema can't be equal to are told of before an engine starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from metrics.api import Case
from metrics.kie import KeyInformation
from runner import config
from runner.base import paths
from runner.planning import opened
from runner.planning.job import Job
from runner.planning.plan import plan
from tests.runner.planning.reference_rows import write_rows

SCHEMA = {
    "type": "object",
    "required": ["дата", "сумма"],
    "properties": {
        "дата": {"type": "string", "format": "date"},
        "сумма": {"type": "number", "multipleOf": 0.01},
        "имя": {"type": "string", "pattern": "^[А-Я][а-я]+$"},
        "код": {"type": "string"},
    },
}
HELD = ("prompt.schema='схема.json'", "prompt.schema_mode=constrained")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    page = next((paths.root() / "data/demo_documents").rglob("*.png"))
    (tmp_path / "1.png").write_bytes(page.read_bytes())
    (tmp_path / "схема.json").write_text(json.dumps(SCHEMA, ensure_ascii=False), encoding="utf-8")
    return tmp_path


def planned(folder: Path, *references: str, overrides: tuple[str, ...] = HELD) -> Job:
    write_rows(folder, references)
    config.register()
    opened.forget()
    asked = ["tracking=none", "dataset=jsonl", "dataset.path=rows.jsonl", "metrics=[kie]", *overrides]
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", asked))


def told(job: Job) -> list[str]:
    return [note for note in job.reading_notes() if "can't be equal to" in note]


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ('{"сумма": 1234.5, "дата": "2010-09-28"}', '{"дата": "2010-09-28", "сумма": 1234.5}'),
        ('{"дата": "28.09.2010", "сумма": "1 234,50 руб."}', '{"дата": "2010-09-28", "сумма": 1234.50}'),
        ('{"дата": "28.09.2010", "сумма": 5, "имя": null, "код": ""}', '{"дата": "2010-09-28", "сумма": 5}'),
        ('{"дата": "28.09.2010", "сумма": 5, "код": 12}', '{"дата": "2010-09-28", "сумма": 5, "код": "12"}'),
        ('{"дата": "28.09.2010", "сумма": 5, "имя": " Глеб "}', '{"дата": "2010-09-28", "сумма": 5, "имя": "Глеб"}'),
    ],
)
def test_a_reference_in_another_spelling_can_be_reached(folder: Path, reference: str, answer: str):
    job = planned(folder, reference)
    assert told(job) == []
    case = Case(sample_id="1", document="1", prediction=answer, references=(reference,), question="Что?")
    scores = {score.name: score.value for score in KeyInformation(schema=SCHEMA).score([case]) if not score.part}
    assert scores["kie_strict"] == scores["kie_valid"] == 1


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ('{"дата": "весной", "сумма": 5}', "дата: 'весной' is not a 'date'"),
        ('{"дата": null, "сумма": 5}', "дата: None is not of type 'string'"),
        ('{"дата": "28.09.2010", "сумма": 5.125}', "сумма: 5.125 is not a multiple of 0.01"),
        ('{"дата": "28.09.2010", "сумма": 5, "имя": "глеб"}', "имя: 'глеб' does not match"),
    ],
)
def test_what_no_answer_can_be_is_told_with_file_and_row(folder: Path, reference: str, why: str):
    job = planned(folder, '{"дата": "28.09.2010", "сумма": 5}', reference)
    (note,) = told(job)
    assert f"rows.jsonl:2: {why}" in note and "1 of the references" in note
    assert told(planned(folder, reference, overrides=("prompt.schema='схема.json'",))) == []  # told, it may be given


def test_what_the_grammar_can_not_write_is_told(folder: Path):
    """In Python, and so for jsonschema, \\w has Russian letters; for llguidance 1.7.6 it is ASCII alone."""
    content = {"type": "object", "properties": {"имя": {"type": "string", "pattern": r"^\w+$"}}}
    (folder / "схема.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    (note,) = told(planned(folder, '{"имя": "Gleb"}', '{"имя": "Глеб"}'))
    assert "rows.jsonl:2: llguidance can't write 'Глеб\"}' behind '{\"имя\": \"'" in note
    other = (*HELD, "backend=vllm", "env=vllm_cpu")
    assert told(planned(folder, '{"имя": "Глеб"}', overrides=other)) == []  # its grammar was not asked


def test_many_are_counted_and_some_shown(folder: Path):
    (note,) = told(planned(folder, *(f'{{"дата": "дня {number}", "сумма": 5}}' for number in range(9))))
    assert "9 of the references" in note and note.count("rows.jsonl:") == 3 and "and 6 more" in note
