import json

import pytest

from metrics.aggregate import aggregate, metric_values
from metrics.registry import InvalidOptionError, create
from metrics.splits import by_part
from metrics.structured import flat

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


@pytest.mark.parametrize("metric", ["structured", "kie"])
@pytest.mark.parametrize("key", ["Раи\u0306он", "Рай\u00adон", "Район ", "\\u200bРайон", "\u00a0Район"])
def test_keys_that_look_the_same_are_the_same(metric: str, key: str):
    for answer, truth in ((key, "Район"), ("Район", key)):
        one = case(f'{{"{answer}": "А"}}', f'{{"{truth}": "А"}}')
        values = {made.name: made.value for made in create(metric).score([one]) if not made.part}
        assert values["json_match" if metric == "structured" else "kie_f1"] == 1
        assert not values["json_invented" if metric == "structured" else "kie_invented"]


def test_capital_letters_tell_keys_apart():
    assert overall("structured", [case('{"a": 1}', '{"A": 1}')])["json_match"].value == 0


def test_leaves_have_paths_and_empty_ones_are_absent():
    nested = {"итог": 5.0, "items": [{"price": "1"}, {"price": None}], "ok": True, "": "x", "пусто": " "}
    assert flat(nested) == {"итог": "5", "items[0].price": "1", "ok": "true", "": "x"}


def test_an_answer_without_json_is_an_answer():
    scores = score("structured", case("не знаю", '{"a": "бв"}'))  # the last of each name is that of the key
    whole = overall("structured", [case("не знаю", '{"a": "бв"}'), case("", '{"a": "бв"}', sample_id="2")])
    assert (whole["json_valid"].value, whole["json_match"].value, whole["json_cer"].value) == (0, 0, 1)
    assert whole["json_invented"].value is None
    assert scores["json_valid"].detail == "no JSON object or list in the answer"


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (case(None, TRUTH, facts={"failure": "timeout"}), "no answer: timeout"),
        (case("{}"), "no reference"),
        (case("{}", " "), "empty reference"),
        (case("{}", "Петров"), "the reference is no JSON object or list with a value"),
        (case("{}", '{"a": null}'), "the reference is no JSON object or list with a value"),
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


ROWS = '[{"имя": "Гайка", "цена": 5}, {"имя": "Болт", "цена": 7}, {"имя": "Шайба", "цена": 1}]'


@pytest.mark.parametrize(
    ("answer", "truth", "valid", "match", "invented"),
    [
        # a list is compared whole
        ('[{"имя": "Гайка", "цена": 5}]', ROWS, 1, 2 / 6, 0),
        (ROWS, ROWS, 1, 1, 0),
        (f"```json\n{ROWS}\n```", ROWS, 1, 1, 0),
        ('{"имя": "Гайка", "цена": 5}', ROWS, 1, 2 / 6, 0),  # its only element without the brackets
        ("[]", ROWS, 1, 0, 0),
        ('[{"имя": "Болт", "цена": 7}, {"имя": "Гайка", "цена": 5}]', ROWS, 1, 0, 0),  # the order counts
        ('["а", "б"]', '["а", "б", "в"]', 1, 2 / 3, 0),
        ('["а", "б", "в", "г"]', '["а", "б", "в"]', 1, 1, 1 / 4),
        ("[[1, 2], [3, 4]]", "[[1, 2], [3, 5]]", 1, 3 / 4, 0),
        ('[{"a": 1}]', '{"a": 1}', 1, 1, 0),  # one object is one object
        ('[{"a": 1}, {"a": 2}]', '{"a": 1}', 1, 0, 1),
        # what is cut off or broken is no JSON, and no part of it is the answer
        ('{"номер": "7", "поз": [{"имя": "Гайка"}, {"имя": "Бо', '{"номер": "7", "поз": [{"имя": "Гайка"}]}', 0, 0, 0),
        ('[{"имя": "Гайка", "цена": 5}, {"имя": "Бо', ROWS, 0, 0, 0),
        ('```json\n{"a": {"b": 1}, "c": [', '{"b": 1}', 0, 0, 0),
        ('{"a": {"b": 1},}', '{"b": 1}', 0, 0, 0),
        ("{'a': {\"b\": 1}}", '{"b": 1}', 0, 0, 0),
        ('{"a": NaN, "c": {"b": 1}}', '{"b": 1}', 0, 0, 0),
        ('{"a": 1}. Исправлю: {"a": 2, "b": {"c', '{"a": 1}', 0, 0, 0),
        ('"{\\"a\\": 1}"', '{"a": 1}', 0, 0, 0),  # a text that holds JSON is a text
        # the last one is the answer, one in a fence before one outside
        ('{"a": 1} нет, {"a": 2}', '{"a": 2}', 1, 1, 0),
        ('Черновик {"a": 1, "b": 1}. Ответ: {"a": 2}', '{"a": 2}', 1, 1, 0),
        ('```json\n{"a": 1}\n```\nили\n```\n{"a": 2}\n```', '{"a": 2}', 1, 1, 0),
        ('```json\n{"a": 2}\n```\nГде {"a": 1} было в черновике', '{"a": 2}', 1, 1, 0),
        ('{"a": 2}\nСм. [1] и {Фамилия}.', '{"a": 2}', 1, 1, 0),
        ('Поле {Фамилия} [см. ниже]: {"a": 2}', '{"a": 2}', 1, 1, 0),
        # texts and numbers
        ('{"a": "{\\"b\\": 1}"}', '{"a": "{\\"b\\": 1}"}', 1, 1, 0),
        ('{"a": 1, "b": "x", "c": 3}', '{"a": 1}', 1, 1, 2 / 3),
        ('{"a": 12345678901234567.1}', '{"a": 12345678901234567.2}', 1, 0, 0),
        ('{"a": 5.0, "b": 1e3, "c": 0.50}', '{"a": "5", "b": 1000, "c": 0.5}', 1, 1, 0),
        ('\ufeff{"a": "Ива\u00adнов"}', '{"a": "Иванов"}', 1, 1, 0),
    ],
)
def test_which_json_is_the_answer_and_all_of_it(answer, truth, valid, match, invented):
    made = {one.name: one.value for one in create("structured").score([case(answer, truth)]) if not one.part}
    assert (made["json_valid"], made["json_match"]) == (valid, pytest.approx(match))
    assert made["json_invented"] == pytest.approx(invented)


def test_of_a_key_given_twice_the_last_holds_and_is_told():
    made = score("structured", case('{"a": 1, "a": 2}', '{"a": 2}'))
    assert made["json_valid"].value == 1 and made["json_valid"].detail == "given twice, the last holds: a"
    whole = overall("structured", [case('{"a": 1, "a": 2}', '{"a": 1}')])
    assert whole["json_match"].value == 0


@pytest.mark.parametrize("truth", ["42", '"Иванов"', "см. [1]", "[]", '{"a": 1'])
def test_a_reference_without_whole_json_is_unscored(truth):
    assert {made.value for made in score("structured", case('{"a": 1}', truth)).values()} == {None}


def test_noise_is_no_json_and_takes_no_time():
    for noise in ("{" * 100_000, "[" * 100_000, '{"a": ' * 5_000, "[1] " * 5_000, '{"a": 1e999999999}'):
        made = score("structured", case(noise, '{"a": "б"}'))
        assert made["json_match"].value == 0
