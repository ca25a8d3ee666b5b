"""Prompts: sources, rendering, and everything that must be found before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.api import ImagePart, Message, TextPart
from runner.base.errors import Refused
from runner.datasets import DatasetConfig, Sample, open_dataset
from runner.prompts import Prompt, PromptConfig, PromptError, load_prompt
from runner.prompts.sources import pairs_of

ROOT = Path(__file__).resolve().parents[3]
IMAGES = (ImagePart(b"1", "image/png"), ImagePart(b"2", "image/png"))
COLLECTIONS = sorted((ROOT.parent / "shared/data/demo_mini/prompts").glob("*.csv"))


def sample(**keys: Any) -> Sample:
    given = {"question": "Кто?", "doc_class": "passport", "field": "Фамилия"} | keys
    return Sample(given.pop("id", "s"), "d", (), **given)


def load(**keys: Any) -> Prompt:
    return load_prompt(PromptConfig(**keys), ROOT)


def refusal(**keys: Any) -> str:
    with pytest.raises(Refused) as raised:
        load(**keys)
    return str(raised.value)


def problems(prompt: Prompt, *samples: Sample) -> str:
    return "\n".join(map(str, prompt.check(samples)))


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


# ------------------------------------------------------------------------------------------------- rendering


def test_images_come_first_and_the_system_text_has_its_own_turn() -> None:
    prompt = load(template="Поле {{ field }}: {{ question }}", system="Ты читаешь {{ doc_class }}.")
    assert prompt.render(sample()).turns(IMAGES) == (
        Message("system", (TextPart("Ты читаешь passport."),)),
        Message("user", (*IMAGES, TextPart("Поле Фамилия: Кто?"))),
    )
    assert prompt.render(sample()).text == "Поле Фамилия: Кто?"


def test_the_system_text_in_the_user_turn() -> None:
    prompt = load(template="{{ question }}", system="Ты читаешь.", system_role="user")
    assert prompt.render(sample()).turns(IMAGES) == (Message("user", (*IMAGES, TextPart("Ты читаешь.\n\nКто?"))),)


def test_texts_of_the_dataset_are_not_interpreted() -> None:
    assert load(template="{{ question }}").render(sample(question="{{ 7*7 }} <b>&</b>")).text == "{{ 7*7 }} <b>&</b>"


def test_templates_run_in_a_sandbox() -> None:
    prompt = load(template="{{ question.__class__.__mro__ }}")
    assert "unsafe" in problems(prompt, sample())


def test_what_a_sample_lacks_can_be_asked_for_but_not_printed() -> None:
    prompt = load(template="{% if context %}{{ context }} {% endif %}{{ question }}")
    assert (prompt.render(sample()).text, prompt.render(sample(context="А")).text) == ("Кто?", "А Кто?")
    assert problems(prompt, sample(), sample(context="А")) == ""
    careless = load(template="{{ context }} {{ question }}")
    message = problems(careless, sample(context="А"), sample(id="x"), sample(id="y"))
    assert "sample 'x': the sample has no context (and 1 more samples)" in message
    assert "{% if context %}" in message
    with pytest.raises(PromptError, match="sample 'x'"):
        careless.render(sample(id="x"))


def test_a_question_that_is_needed_and_missing() -> None:
    message = problems(load(template="{{ question }}"), sample(id="test_1.jpg", question=""))
    assert "sample 'test_1.jpg': the sample has no question" in message
    assert "dataset.question=" in message
    assert "prompt=describe" in message
    assert problems(load(template="Опиши."), sample(question="")) == ""


def test_a_template_that_renders_to_nothing() -> None:
    message = problems(load(template="{% if doc_class == 'act' %}{{ question }}{% endif %}"), sample())
    assert "the prompt is empty once it is filled in" in message


# ------------------------------------------------------------------------------------------------- collections


@pytest.mark.parametrize("path", COLLECTIONS or [None], ids=lambda path: path.stem if path else "absent")
def test_the_real_collections_fit_the_real_dataset(path: Path | None, shared: Path) -> None:
    assert path is not None
    assert len(COLLECTIONS) == 4
    dataset = open_dataset(DatasetConfig(format="annotations", path=str(shared / "demo_mini")))
    prompt = load(name="collection", path=str(path))
    assert prompt.check(dataset) == []
    texts = {(item.doc_class, item.field): prompt.render(item).text for item in dataset}
    assert len(texts) == 11
    assert texts["invoice", "Номер счет-фактуры"] == "Напиши Номер счет-фактуры. Укажи только цифру. Пример: 632."


def test_missing_pairs_are_all_named(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "prompt;doc_class_question_type\nНапиши.;passport Фамилия\n")
    samples = [sample(), sample(field="Имя"), sample(field="Имя"), sample(doc_class="акт", field="")]
    (problem,) = load(path=path).check(samples)
    assert "no prompt for 2 (doc_class, field) of the dataset: passport / Имя; акт / (no field)" in problem.what
    assert problem.where.endswith("a.csv")
    assert "prompt.default" in problem.remedy
    assert "the collection has: passport Фамилия" in problem.remedy
    assert load(path=path, default="{{ question }}").check(samples) == []


def test_a_dataset_without_classes_and_fields(tmp_path: Path) -> None:
    prompt = load(collection={"passport": {"Фамилия": "Напиши."}})
    assert "the dataset has neither" in problems(prompt, sample(doc_class="", field=""))


def test_prompts_of_csv_are_plain_text_and_keys_are_not_taken_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", '\ufeffprompt;doc_class_question_type\n"Как {{ x }}; {%";bank  card Номер счета\n')
    prompt = load(path=path)
    assert prompt.render(sample(doc_class="bank card", field="Номер счета")).text == "Как {{ x }}; {%"
    two = [sample(doc_class="bank card", field="Номер счета"), sample(doc_class="bank", field="card Номер счета")]
    assert "'bank card Номер счета' may be any of" in problems(prompt, *two)


def test_several_prompts_for_one_pair(tmp_path: Path) -> None:
    header = "prompt;doc_class_question_type;cer\n"
    best = write(tmp_path, "a.csv", header + "Один;a b;0,2\nДва;a b;0.1\nТри;a b;0.3\nДва;a b;\n")
    assert load(path=best).render(sample(doc_class="a", field="b")).text == "Два"
    tie = write(tmp_path, "b.csv", header + "Один;a b;0.1\nДва;a b;0.1\n")
    message = refusal(path=tie)
    assert "b.csv:3: 'a b' has two prompts; the other is in " in message
    assert "b.csv:2" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt,doc_class_question_type\nа,b\n", "separated by commas and not by semicolons"),
        ("prompt;pair\nа;b\n", "missing column: doc_class_question_type; found: prompt, pair"),
        ("prompt;doc_class_question_type\nа;b;c\n", "a.csv:2: 3 cells, but the header has 2"),
        ("prompt;doc_class_question_type\n;b\n", "a.csv:2: column prompt is empty"),
        ("prompt;doc_class_question_type;cer\nа;b c;low\n", "a.csv:2: column cer: 'low' is no number"),
        ("prompt;doc_class_question_type\n", "there are no prompts"),
        ("", "the file is empty"),
    ],
)
def test_bad_collections(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(path=write(tmp_path, "a.csv", text))


# ------------------------------------------------------------------------------------------------- files and configs


def test_a_text_file_is_one_template(tmp_path: Path) -> None:
    assert load(path=write(tmp_path, "a.txt", "\ufeffПоле {{ field }}?\n")).render(sample()).text == "Поле Фамилия?"


def test_a_yaml_file_with_system_collection_and_default(tmp_path: Path) -> None:
    text = "system: Ты читаешь.\ncollection: {passport: {Фамилия: Напиши.}}\ndefault: '{{ question }}'\n"
    prompt = load(path=write(tmp_path, "a.yaml", text))
    assert prompt.render(sample(field="Имя")).turns(()) == (
        Message("system", (TextPart("Ты читаешь."),)),
        Message("user", (TextPart("Кто?"),)),
    )
    assert prompt.render(sample()).text == "Напиши."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("- a", "is no mapping"),
        ("templates: a", "unknown key: templates"),
        ("system: a", "either template or collection must be given"),
        ("template: 7", "template must be a text, not 7"),
        ("collection: {passport: Напиши}", "passport must map its fields to templates"),
        ("collection: {passport: {Номер: 7}}", "the prompt of passport / Номер must be a text, not 7"),
        ("collection: {passport: {Номер: '{{ фио }}'}}", "unknown variable in the template: фио"),
    ],
)
def test_bad_yaml(tmp_path: Path, text: str, message: str) -> None:
    refused = refusal(path=write(tmp_path, "a.yaml", text))
    assert message in refused
    assert "a.yaml" in refused


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "prompt.path=FILE"),
        ({"template": "a", "path": "b"}, "prompt.template and prompt.path are both set"),
        ({"path": "no.csv"}, "prompt.path: no.csv does not exist"),
        ({"path": "pyproject.toml"}, "prompts are not read from .toml"),
        ({"template": "{{ question", "name": "x"}, "prompt.template: line 1 of the template"),
        ({"template": "{{ reference }}"}, "unknown variable in the template: reference"),
        ({"template": " "}, "prompt.template: the prompt is empty"),
        ({"template": "a", "default": "b"}, "a default needs a collection"),
        ({"template": "a", "system_role": "assistant"}, "one of: system, user"),
        ({"template": "a", "system": "{{ x }}"}, "prompt.system: unknown variable"),
    ],
)
def test_bad_configs(keys: dict[str, str], message: str) -> None:
    assert message in refusal(**keys)


@pytest.mark.parametrize("key", ["007", "12:30", "no", "on", "1.50", "2024-01-01", "~", "1_000", "0x1F"])
@pytest.mark.parametrize("place", ["collection: {{{key}: {{Имя: x}}}}", "collection:\n  паспорт:\n    {key}: x\n"])
def test_keys_of_yaml_that_are_no_texts(tmp_path: Path, key: str, place: str) -> None:
    line = 1 if place.startswith("collection: ") else 3
    refused = refusal(path=write(tmp_path, "a.yaml", place.format(key=key)))
    assert f"a.yaml:{line}: the key {key} is no text: YAML reads it as " in refused
    assert f'put it in quotation marks: "{key}":' in refused
    quoted = load(path=write(tmp_path, "b.yaml", place.format(key=f'"{key}"')))
    assert key in next(iter(quoted.pairs))


def test_a_key_twice_is_refused_and_so_are_keys_of_an_inline_collection(tmp_path: Path) -> None:
    text = "collection:\n  паспорт: {Имя: x}\n  паспорт: {Город: y}\n"
    assert "a.yaml:3: the key 'паспорт' is there twice, first in line 2" in refusal(
        path=write(tmp_path, "a.yaml", text)
    )
    assert "the key 7 is no text" in refusal(collection={"паспорт": {7: "x"}})
    assert "the key False is no text" in refusal(collection={False: {"Имя": "x"}})


def test_the_digest_names_content_name_and_version() -> None:
    keys = {"name": "a", "template": "{{ question }}"}
    changes: list[dict[str, Any]] = [{}, {"name": "b"}, {"version": "2"}, {"template": "?"}, {"system": "s"}]
    changes.append({"system": "s", "system_role": "user"})
    assert len({load(**keys | change).digest for change in changes}) == len(changes)
    assert load(**keys).digest == load(**keys).digest


def test_pairs_are_found_by_what_their_names_look_like() -> None:
    pairs = pairs_of({"акт\u00a0": {"Раи\u0306он": "Напиши район."}}, "here")
    assert list(pairs) == [("акт", "Район")]
    with pytest.raises(Refused, match="is there twice"):
        pairs_of({"акт": {"Раи\u0306он": "а", "Район": "б"}}, "here")
