import json

import pytest

from metrics.aggregate import aggregate, metric_values
from metrics.registry import InvalidOptionError, create
from metrics.splits import by_part
from metrics.structured import extract, flat

from .cases import case, overall, score

TRUTH = '{"Фамилия": "Петров", "Год": "2001"}'


def test_the_example_of_the_module():
    scores = list(create("structured").score([case('Вот: ```json {"Фамилия": "Иванов", "Год": 2001}```', TRUTH)]))
    values = {(one.name, one.part): one.value for one in scores}
    assert values == {
        ("json_valid", ""): 1,
        ("json_match", ""): 0.5,
        ("json_cer", ""): 0.4,
        ("json_invented", ""): 0,
        ("json_match", "Фамилия"): 0,
        ("json_match", "Год"): 1,
        ("json_cer", "Фамилия"): pytest.approx(4 / 6),
        ("json_cer", "Год"): 0,
    }
    assert next(one.detail for one in scores if one.name == "json_match" and not one.part) == "wrong: Фамилия"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Ответ:\n```json\n{"a": {"b": [1]}}\n``` готово', {"a": {"b": [1]}}),
        ('{не то} {"a": 1} и {"a": 1, "b": 2}', {"a": 1, "b": 2}),
        ('{"a": 1', None),
        ("[1, 2]", None),
        ('{"a": NaN}', None),
        ("", None),
        ("{" * 100_000, None),
    ],
)
def test_extract(text, found):
    assert extract(text) == found


def test_leaves_have_paths_and_empty_ones_are_absent():
    nested = {"итог": 5.0, "items": [{"price": "1"}, {"price": None}], "ok": True, "": "x", "пусто": " "}
    assert flat(nested) == {"итог": "5", "items[0].price": "1", "ok": "true", "": "x"}


def test_an_answer_without_json_is_an_answer():
    scores = score("structured", case("не знаю", '{"a": "бв"}'))  # the last of each name is that of the key
    whole = overall("structured", [case("не знаю", '{"a": "бв"}'), case("", '{"a": "бв"}', sample_id="2")])
    assert (whole["json_valid"].value, whole["json_match"].value, whole["json_cer"].value) == (0, 0, 1)
    assert whole["json_invented"].value is None
    assert scores["json_valid"].detail == "no JSON object in the answer"


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (case(None, TRUTH, facts={"failure": "timeout"}), "no answer: timeout"),
        (case("{}"), "no reference"),
        (case("{}", " "), "empty reference"),
        (case("{}", "Петров"), "the reference is no JSON object with a value"),
        (case("{}", '{"a": null}'), "the reference is no JSON object with a value"),
    ],
)
def test_unscored_with_reason(one, reason):
    assert {(made.value, made.reason) for made in score("structured", one).values()} == {(None, reason)}


def test_null_equals_absence_and_invention_is_counted():
    whole = overall("structured", [case('{"a": "1", "b": "2", "c": null}', '{"a": "1", "b": null}')])
    assert (whole["json_match"].value, whole["json_invented"].value) == (1, 0.5)


def test_the_best_reference_counts_whatever_the_order():
    references = ('{"a": "1", "b": "3"}', '{"a": "1", "b": "2"}')
    for given in (references, references[::-1]):
        assert overall("structured", [case('{"a": 1, "b": 2}', *given)])["json_match"].value == 1


def test_values_are_read_by_their_kind():
    one = case('{"Дата": "28 сентября 2010"}', '{"Дата": "28.09.2010 г."}', doc_class="паспорт")
    for fields in ({"Дата": "date"}, {"паспорт/Дата": "date"}):
        assert overall("structured", [one], {"fields": fields})["json_match"].value == 1
    with pytest.raises(InvalidOptionError, match="fields"):
        create("structured", {"fields": {"Дата": "day"}})


def test_figures_by_key():
    cases = [
        case(json.dumps({"a": "1", "b": b}), '{"a": "1", "b": "2"}', sample_id=str(b), doc_class="счёт")
        for b in (1, 2, 3)
    ]
    cases.append(case('{"b": "2"}', '{"b": "2"}', sample_id="4", doc_class="чек"))
    metric = create("structured")
    scores = list(metric.score(cases))
    figures = by_part(cases, scores, [metric], replicates=20)
    values = metric_values([*aggregate(cases, scores, [metric], replicates=20), *figures])
    assert values["quality/json_match/by/счёт/a"] == 1
    assert values["quality/json_match/by/счёт/b"] == pytest.approx(1 / 3)
    assert values["quality/json_match/by/чек/b"] == 1
    assert values["quality/json_match"] == pytest.approx(5 / 7)
    assert "quality/json_match/by/чек/a" not in values
    assert by_part(cases, [one for one in scores if not one.part], [metric]) == []
