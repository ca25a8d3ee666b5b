"""Prompts with a JSON Schema: what is sent, what is refused, and what it changes in an answer's identity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.asking.questions import Generated, Questions
from runner.base import paths
from runner.base.errors import Refused
from runner.base.progress import Progress
from runner.datasets import Sample
from runner.planning import opened
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.prompts import PromptConfig, load_prompt
from runner.store import Shelf

SCHEMA = {"type": "object", "required": ["б", "а"], "properties": {"б": {"type": "string"}, "а": {"type": "integer"}}}
ENDPOINT = ("model=openai", "model.name=x", "quant=native", "backend.api_key_variable=null")
SAMPLE = Sample("s", "d", (), question="Кто?")


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path / "store"))
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA, ensure_ascii=False, indent=4), encoding="utf-8")
    return path


def load(**keys):
    return load_prompt(PromptConfig(template="{{ question }}", **keys))


def planned(*overrides: str) -> Job:
    config.register()
    opened.forget()
    asked = ["tracking=none", "dataset.limit=2", "metrics=[kie]", *overrides]
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", asked))


def refusal(*overrides: str) -> str:
    with pytest.raises(Refused) as refused:
        planned(*overrides)
    return str(refused.value)


def test_the_schema_stands_behind_the_prompt_on_one_line_in_its_own_order(schema: Path):
    prompt = load(schema=str(schema))
    assert prompt.render(SAMPLE).text.startswith("Кто?\n\nОтветь только JSON по этой схеме")
    assert prompt.render(SAMPLE).text.endswith(json.dumps(SCHEMA, ensure_ascii=False))
    own = load(schema=str(schema), schema_template="{{ schema }} {{ prompt }}", ocr="tesseract")
    assert own.render(SAMPLE, "страница").text.startswith('{"type": "object"')
    assert own.render(SAMPLE, "страница").text.endswith("страница\n\nКто?")


def test_without_a_schema_nothing_changes():
    assert load().digest == load(schema_template="{{ prompt }}!").digest
    assert load().render(SAMPLE).text == "Кто?" and load().identity == {}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"schema_template": "{{ schema }}"}, "must stand in it"),
        ({"schema_template": "{{ prompt }} {{ other }}"}, "and nothing else"),
        ({"schema_template": "{{ prompt"}, "line 1 of the template"),
        ({"schema": "gone.json"}, "gone.json does not exist"),
        ({"schema_mode": "both"}, "-m"),
        ({"schema": None, "schema_mode": "constrained"}, "there is no schema"),
    ],
)
def test_what_is_refused(schema: Path, keys, message):
    with pytest.raises(Refused, match=message):
        load(**{"schema": str(schema)} | keys)


def test_a_file_that_is_no_schema_is_refused(schema: Path):
    schema.write_text('{"номер": "string"}', encoding="utf-8")
    with pytest.raises(Refused, match="names no key"):
        load(schema=str(schema))


def test_what_holds_an_answer_is_part_of_its_identity(schema: Path):
    told, held = (planned(f"prompt.schema={schema}", f"prompt.schema_mode={mode}") for mode in ("told", "constrained"))
    assert told.digest != held.digest and told.response_schema is None and held.response_schema == SCHEMA
    assert "response_schema" not in told.identity
    keys = []
    for job in (told, held):
        asks = list(
            Questions(job, Shelf(paths.store_dir() / "x.jsonl"), Generated(), Progress("", None, quiet=True)).missing()
        )
        keys.append([ask.key for ask in asks])
        assert [ask.build().response_schema for ask in asks] == [job.response_schema] * 2
    assert not set(keys[0]) & set(keys[1])
    schema.write_text(json.dumps(SCHEMA | {"properties": dict(reversed(SCHEMA["properties"].items()))}), "utf-8")
    other = planned(f"prompt.schema={schema}", "prompt.schema_mode=constrained")
    assert other.identity != held.identity  # the answer's keys come in the order of the schema's


def test_the_metric_takes_the_schema_of_the_prompt(schema: Path):
    assert planned(f"prompt.schema={schema}").metrics["kie"].schema.keys() == {"б": "", "а": "amount"}
    assert planned(f"prompt.schema={schema}", "metrics.kie.schema=null").metrics["kie"].schema is None


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["backend=ocr", "model=tesseract_rus"], "an OCR program can't be held to a schema"),
        (["model=layoutlmv3", "model.path=assets/demo_models/demo_s/bf16"], "gives its answers as a whole"),
        ([*ENDPOINT, "backend.omit=[response_format]"], "backend.omit: without response_format the answers would not"),
        ([*ENDPOINT, "+model.request.response_format=null"], "model.request: without response_format the answers"),
    ],
)
def test_who_can_not_be_held_is_refused(schema: Path, overrides, message):
    assert message in refusal(f"prompt.schema={schema}", "prompt.schema_mode=constrained", *overrides)


def test_what_llguidance_does_not_know_is_refused(schema: Path):
    schema.write_text(
        json.dumps({"type": "object", "properties": {"а": {"type": "string", "format": "iban"}}}), "utf-8"
    )
    words = refusal(f"prompt.schema={schema}", "prompt.schema_mode=constrained")
    assert "Unknown format: iban" in words and "prompt.schema_mode=told" in words
    assert planned(f"prompt.schema={schema}").response_schema is None  # told, it is the model's affair


ANY_OF = {"type": "object", "properties": {"номер": {"type": "string"}}, "required": ["номер"]} | {
    "anyOf": [{"required": ["дата"], "properties": {"дата": {"type": "string"}}}, {"required": ["год"]}]
}


@pytest.mark.parametrize("where", [lambda schema: schema, lambda schema: {"type": "array", "items": schema}])
def test_what_xgrammar_would_leave_out_is_refused(schema: Path, where):
    """Seen with xgrammar 0.2.7 to 0.2.9: findings/xgrammar_anyof_beside_properties.sh. llguidance holds to it."""
    schema.write_text(json.dumps(where(ANY_OF)), "utf-8")
    held = (f"prompt.schema={schema}", "prompt.schema_mode=constrained")
    assert "anyOf" in refusal(*held, "backend=vllm", "env=vllm_cpu")
    for allowed in (
        (*held, "backend=hf"),
        (f"prompt.schema={schema}", "backend=vllm", "env=vllm_cpu"),
        (*held, "backend=vllm", "env=vllm_cpu", "+backend.engine_args.structured_outputs_config={backend: guidance}"),
    ):
        planned(*allowed)


@pytest.mark.parametrize(
    ("pattern", "backend", "words"),
    [
        (r"^\w+$", "hf", ["ASCII alone"]),
        (r"^\w+$", "vllm", ["ASCII alone"]),
        ("^ООО .+$", "vllm", ["can't write quotes"]),
        ("^ООО .+$", "hf", []),
        (r"^\d\d\.\d\d[.]\d{4}$", "vllm", []),
        ("^[А-Яа-яЁё -]+$", "vllm", []),
    ],
)
def test_what_grammars_make_of_a_pattern_is_told(schema: Path, pattern, backend, words):
    content = {"type": "object", "properties": {"имя": {"type": "string", "pattern": pattern}}}
    schema.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    env = ("env=vllm_cpu",) if backend == "vllm" else ()
    job = planned(f"prompt.schema={schema}", "prompt.schema_mode=constrained", f"backend={backend}", *env)
    told = [note for note in job.reading_notes() if "pattern" in note]
    assert len(told) == len(words) and all(word in note for word, note in zip(words, told, strict=True))
    assert not [note for note in planned(f"prompt.schema={schema}").reading_notes() if "pattern" in note]
