import functools
import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.aggregate import aggregate, metric_values
from metrics.paired import NothingToCompare, ScoredRun, compare
from metrics.registry import InvalidOptionError, create, create_all
from metrics.splits import by_part

from .cases import case, overall, quick, score

ROWS = [
    {"имя": "Болт М8", "шт": 4, "цена": "5,50"},
    {"имя": "Гайка М8", "шт": 6, "цена": "7"},
    {"имя": "Шайба", "шт": 1, "цена": "1"},
]
INVOICE = {"номер": "12", "скидка": None, "позиции": ROWS}
SCHEMA = {
    "type": "object",
    "required": ["номер"],
    "properties": {
        "номер": {"type": "string"},
        "дата": {"type": ["string", "null"], "format": "date"},
        "позиции": {
            "type": "array",
            "items": {"$ref": "#/$defs/row"},
        },
    },
    "$defs": {"row": {"type": "object", "properties": {"имя": {"type": "string"}, "цена": {"type": "number"}}}},
}


def text(value) -> str:
    return json.dumps(value, ensure_ascii=False)


def values(answer, *references, options=None, **more) -> dict[str, float | None]:
    """Return the values of one answer by measure; what is not text is written as JSON."""
    asked = [one if isinstance(one, str) else text(one) for one in (answer, *references)]
    made = create("kie", options).score([case(*asked, **more)])
    return {one.name.removeprefix("kie_"): one.value for one in made if not one.part}


def test_the_example_of_the_module():
    made = values('{"номер": "12", "итог": 7, "скидка": "0"}', '{"номер": "12", "итог": "8", "скидка": null}')
    assert (made["precision"], made["recall"], made["f1"]) == (pytest.approx(1 / 3), 0.5, pytest.approx(2 / 5))
    assert (made["strict"], made["invented"], made["missing"], made["nulls"]) == (0, pytest.approx(1 / 3), 0, 0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_rows_are_paired_in_any_order(order):
    made = values(INVOICE | {"позиции": [ROWS[row] for row in order]}, INVOICE)
    assert (made["f1"], made["strict"], made["anls"], made["nulls"]) == (1, 1, 1, 1)


@pytest.mark.parametrize("dropped", [0, 1, 2])
def test_a_dropped_row_shifts_no_other(dropped):
    made = values(INVOICE | {"позиции": [row for number, row in enumerate(ROWS) if number != dropped]}, INVOICE)
    assert (made["precision"], made["recall"], made["missing"]) == (1, 7 / 10, 3 / 10)
    assert (made["invented"], made["strict"]) == (0, 0)


def test_an_added_row_is_invented_and_a_doubled_one_too():
    for more in ({"имя": "Шуруп", "шт": 9, "цена": "3"}, ROWS[1]):
        made = values(INVOICE | {"позиции": [more, *ROWS]}, INVOICE)
        assert (made["precision"], made["recall"], made["invented"], made["missing"]) == (10 / 13, 1, 3 / 13, 0)


def test_a_misread_row_is_paired_with_the_one_it_resembles():
    read = [{"имя": "Гайка М3", "шт": 6, "цена": "1"}, ROWS[0]]  # its price is that of the third row
    scores = create("kie").score([case(text({"позиции": read}), text({"позиции": ROWS}))])
    made = {one.part: one.value for one in scores if one.name == "kie_recall" and one.part}
    assert made == {"позиции[].имя": 1 / 3, "позиции[].шт": 2 / 3, "позиции[].цена": 1 / 3}


def test_rows_with_nothing_in_common_are_missing_and_invented():
    made = values([{"a": "кот"}], [{"a": "слон"}])
    assert (made["missing"], made["invented"], made["f1"]) == (1, 1, 0)
    assert values([{"a": "слоны"}], [{"a": "слон"}])["missing"] == 0  # a wrong value of the same row


@pytest.mark.parametrize(
    ("answer", "reference", "f1", "strict"),
    [
        # one value and a list that holds it alone are the same
        ({"тел": "12"}, {"тел": ["12"]}, 1, 1),
        ({"тел": ["12"]}, {"тел": "12"}, 1, 1),
        ({"тел": ["12", "13"]}, {"тел": "12"}, 0, 0),
        ([{"a": 1}], {"a": 1}, 1, 1),
        ({"a": 1}, [{"a": 1}], 1, 1),
        (["б", "а"], ["а", "б"], 1, 1),
        ([["б", "2"], ["а", "1"]], [["а", "1"], ["б", "2"]], 1, 1),
        # nothing is nothing, however it is written
        ({"a": 1}, {"a": 1, "b": None, "c": "", "d": [], "e": {}}, 1, 1),
        ({"a": 1, "b": None, "c": " ", "d": [], "e": {}}, {"a": 1}, 1, 1),
        ({"a": 1, "b": {"c": None}}, {"a": 1, "b": None}, 1, 1),
        ({}, {}, 1, 1),
        ({"a": "x"}, {}, 0, 0),
        # another shape
        ({"a": {"b": "x"}}, {"a": "x"}, 0, 0),
        ({"a": "x"}, {"a": {"b": "x"}}, 0, 0),
        # texts and numbers
        ({"a": 5.0, "b": True, "c": "2001"}, {"a": "5", "b": "true", "c": 2001}, 1, 1),
        ({"a": True}, {"a": 1}, 0, 0),
        ({"a": "Ива\u00adнов "}, {"a": "Иванов"}, 1, 1),
        # broken JSON is an answer without values
        ('{"a": 1, "b": [{"c"', {"a": 1}, 0, 0),
        ("не знаю", {"a": 1}, 0, 0),
        ("", {"a": 1}, 0, 0),
        ("не знаю", {"a": None}, 0, 0),
    ],
)  # fmt: skip
def test_shapes(answer, reference, f1, strict):
    made = values(answer, reference)
    assert (made["f1"], made["strict"]) == (f1, strict)
    assert all(0 <= value <= 1 for value in made.values() if value is not None)


def test_nulls_are_right_where_nothing_is_answered():
    reference = {"a": "1", "b": None, "c": "", "d": []}
    assert values({"a": "1", "b": None}, reference)["nulls"] == 1
    assert values({"a": "1", "b": "2", "d": ["3"]}, reference)["nulls"] == pytest.approx(1 / 3)
    assert values("не знаю", reference)["nulls"] == 0  # it said nothing of them
    # nor are the nulls of a row that was dropped right
    assert overall("kie", [case('{"r": []}', '{"r": [{"a": "1", "b": null}]}')])["kie_nulls"].value is None


def test_values_are_read_by_their_kind():
    answer = {"Дата": "28 сентября 2010", "позиции": [{"цена": "1 234,50 руб."}]}
    reference = {"Дата": "28.09.2010 г.", "позиции": [{"цена": 1234.5}]}
    assert values(answer, reference)["f1"] == 0
    for fields in (
        {"Дата": "date", "позиции[].цена": "amount"},
        {"Дата": "date", "цена": "amount"},
        {"счёт/Дата": "date", "счёт/цена": "amount"},
    ):
        assert values(answer, reference, options={"fields": fields}, doc_class="счёт")["f1"] == 1
    # A number of JSON is exact: no dot in it separates thousands.
    assert values({"вес": 1234}, {"вес": 1.234}, options={"fields": {"вес": "amount"}})["f1"] == 0
    assert values({"вес": "1,234"}, {"вес": 1.234}, options={"fields": {"вес": "amount"}})["f1"] == 0


def test_the_best_reference_counts_whatever_the_order():
    references = (text({"a": "1", "b": "3"}), text({"a": "1", "b": "2"}), "не JSON")
    for given_order in (references, references[::-1]):
        assert values({"a": "1", "b": "2"}, *given_order)["strict"] == 1


def test_figures_by_key_and_their_mean():
    cases = [
        case(text({"a": "1", "b": b, "лишнее": "x"}), text({"a": "1", "b": "2"}), sample_id=b, doc_class="счёт")
        for b in "123"
    ]
    cases.append(case('{"b": "2"}', '{"b": "2", "c": "3"}', sample_id="4", doc_class="чек"))
    metric = create("kie")
    scores = list(metric.score(cases))
    figures = metric_values([*aggregate(cases, scores, [metric], replicates=20), *by_part(cases, scores, [metric])])
    assert figures["quality/kie_recall/by/счёт/a"] == 1
    assert figures["quality/kie_f1/by/счёт/b"] == pytest.approx(1 / 3)
    assert figures["quality/kie_precision/by/чек/b"] == 1
    assert "quality/kie_precision/by/чек/c" not in figures  # it was never answered
    assert not any("лишнее" in name for name in figures)  # what a model invents names no figure
    assert figures["quality/kie_invented"] == 3 / 10
    assert figures["quality/kie_precision"] == 5 / 10 and figures["quality/kie_recall"] == 5 / 8
    assert figures["quality/kie_f1"] == pytest.approx(10 / 18)
    assert figures["quality/kie_f1_macro"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert figures["quality/kie_precision_macro"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert figures["quality/kie_f1_macro/by/счёт"] == pytest.approx((1 + 1 / 3) / 2)


def test_of_more_keys_than_anybody_names_there_is_no_mean():
    truths = [text({f"{row}-{n}": "1" for n in range(40)}) for row in range(8)]
    cases = [case(truth, truth, sample_id=truth[:9]) for truth in truths]
    made = overall("kie", cases)
    assert made["kie_f1"].value == 1 and made["kie_f1_macro"].value is None
    reasons = {one.reason for one in create("kie").score(cases) if one.name == "kie_recall_macro"}
    assert reasons == {"320 different keys in the references: no mean over keys (1 to 300)"}


@pytest.mark.parametrize("more", [{"a": "3"}, {"0": "3"}, {"c": "3", "d": "4"}])
def test_runs_over_different_samples_are_compared_where_their_keys_are_the_same(more):
    metric = create("kie")
    truth = {"1": {"a": "1"}, "2": {"a": "1", "b": "2"}, "3": more}
    runs = []
    for names, wrong in (("12", "0"), ("123", "2")):
        cases = [case(text(truth[name] | {"b": wrong}), text(truth[name]), sample_id=name) for name in names]
        runs.append(ScoredRun.of(names, "kie_f1_macro", cases, metric.score(cases)))
    measure = next(one for one in metric.measures if one.name == "kie_f1_macro")
    asked = functools.partial(compare, measure, functools.partial(metric.combine, "kie_f1_macro"), *runs, replicates=50)
    if set(more) - {"a"}:
        with pytest.raises(NothingToCompare, match="have other keys"):
            asked()
        return
    paired = asked()
    assert paired.samples == 2 and paired.unpaired == 1
    assert paired.value_baseline == pytest.approx((1 + 0) / 2)
    assert paired.value_candidate == pytest.approx((1 + 2 / 3) / 2)


LEAF = st.sampled_from(["а", "б", "12", None])
RECORD = st.fixed_dictionaries({"n": LEAF, "rows": st.lists(st.fixed_dictionaries({"x": LEAF, "y": LEAF}), max_size=3)})


@given(reference=RECORD, answer=RECORD)
@quick
def test_whatever_is_compared_the_counts_fit_together(reference, answer):
    made = {one.name: one for one in create("kie").score([case(text(answer), text(reference))]) if not one.part}
    right, wanted = made["kie_recall"].stats
    assert made["kie_precision"].stats[0] == right and made["kie_f1"].stats[0] == 2 * right
    answered = made["kie_precision"].stats[1]
    assert made["kie_f1"].stats[1] == answered + wanted
    assert right + made["kie_missing"].stats[0] <= wanted and right + made["kie_invented"].stats[0] <= answered
    macro = np.array(made["kie_f1_macro"].stats).reshape(-1, 3)
    assert macro.sum(axis=0)[[0, 2]].tolist() == [right, wanted]
    assert macro.sum(axis=0)[1] <= answered  # columns of which the reference has no row are no keys of it
    same = create("kie").score([case(text(reference), text(reference))])
    assert all(one.value == 1 for one in same if one.name in ("kie_strict", "kie_anls", "kie_valid"))
    back = {one.name: one.stats for one in create("kie").score([case(text(reference), text(answer))]) if not one.part}
    assert back["kie_f1"] == made["kie_f1"].stats  # and F1 is the same both ways


# ------------------------------------------------------------------------------------------------- schema


def test_a_schema_tells_kinds_nulls_and_validity():
    reference = {"номер": "7", "позиции": [{"имя": "Болт", "цена": "1 234,50"}]}
    answer = {"номер": "7", "дата": None, "позиции": [{"имя": "Болт", "цена": 1234.5}]}
    made = values(answer, reference, options={"schema": SCHEMA})
    assert (made["strict"], made["valid"], made["nulls"]) == (1, 1, 1)  # дата may be absent, and is
    assert made["anls"] == 1  # the null of the schema costs nothing
    made = values(answer | {"дата": "1.2.2020"}, reference, options={"schema": SCHEMA})
    assert (made["strict"], made["nulls"], made["invented"]) == (0, 0, 1 / 4)
    spoilt = values(answer | {"позиции": [{"имя": "Болт", "цена": "1 234,50"}]}, reference, options={"schema": SCHEMA})
    assert (spoilt["strict"], spoilt["valid"]) == (1, 0)  # a text where the schema has a number
    detail = score("kie", case(text({"номер": 7}), text(reference)), {"schema": SCHEMA})["kie_valid"].detail
    assert detail == "номер: 7 is not of type 'string'"
    dates = ({"номер": "7", "дата": date} for date in ("28 сентября 2010", "28.09.2010"))
    assert values(*dates, options={"schema": SCHEMA})["strict"] == 1


@pytest.mark.parametrize("step", [0.01, 0.1, 1, 0.0005])
def test_multiples_are_counted_in_decimals(step):
    schema = {"type": "object", "properties": {"цена": {"type": "number", "multipleOf": step}}}
    for price in ("19.99", "0.07", "1.13", "8.2", "7", "1e30", "0.30000000000000004"):
        made = values(f'{{"цена": {price}}}', f'{{"цена": {price}}}', options={"schema": schema})
        assert made["valid"] == float(Decimal(price) % Decimal(str(step)) == 0 if price != "1e30" else 1), price


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, ""),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, ""),
        ({"anyOf": [{"type": "string", "format": "date"}, {"type": "number"}]}, ""),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "amount"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}, {"enum": [None]}]}, "amount"),
        ({"anyOf": [{"$ref": "#/$defs/Дата"}, {"type": "null"}]}, "date"),
        ({"$ref": "#/$defs/%D0%94%D0%B0%D1%82%D0%B0"}, "date"),
        ({"allOf": [{"type": "number"}, {"minimum": 0}]}, "amount"),
    ],
)
def test_the_kind_of_alternatives_is_what_all_of_them_have(part, kind):
    dates = {"Дата": {"type": "string", "format": "date"}}
    schema = {"type": "object", "properties": {"номер": part}, "$defs": dates}
    assert create("kie", {"schema": schema}).schema.keys() == {"номер": kind}
    if not kind:
        assert values({"номер": "12"}, {"номер": "0012"}, options={"schema": schema})["strict"] == 0


def test_a_right_answer_with_nothing_to_extract_is_right():
    made = values({"a": None}, {"a": None})
    assert {made[name] for name in ("f1", "precision", "recall", "f1_macro", "strict", "nulls")} == {1}
    made = values("не JSON", {"a": None})
    assert {made[name] for name in ("f1", "precision", "recall", "f1_macro", "strict", "nulls")} == {0}
    assert values({"a": "1"}, {"a": None})["f1"] == 0
    assert values({"a": "1"}, {"a": "1"})["nulls"] is None  # the reference has none


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ({"позиции": []}, "the reference lacks 'номер', which the schema requires"),
        ({"номер": "7", "итог": "1"}, "the reference has 'итог', which the schema doesn't name"),
        ({"номер": "7", "позиции": {"имя": "Болт"}}, "'позиции' is an object, and the schema has a list there"),
        ({"номер": ["7"]}, "'номер' is a list, and the schema has a single value there"),
        ({"номер": "7", "позиции": [{"вес": "1"}]}, "'позиции[]' has 'вес', which the schema doesn't name"),
        ([{"номер": "7"}], "the reference is a list, and the schema has an object there"),
    ],
)
def test_a_reference_with_other_keys_than_the_schema_is_unscored(reference, reason):
    metric = create("kie", {"schema": SCHEMA})
    assert metric.check_reference(text(reference)) == reason
    scores = list(metric.score([case(text(reference), text(reference))]))
    assert {(one.value, one.reason) for one in scores} == {(None, f"the reference doesn't fit the schema: {reason}")}
    assert metric.check_reference("не JSON") == "" == metric.check_reference('{"номер": null}')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"type": "objekt", "properties": {"a": {}}}', "is no JSON Schema: at type"),
        ('{"номер": "string", "итог": "number"}', "names no key"),  # an example, taken for a schema
        ('{"type": "object"}', "names no key"),
        ("[]", "is a list, and a schema is an object"),
        ('"a"', "is the single value 'a'"),
        ('{"properties": ', "is not JSON"),
        ('{"properties": {"a": {"$ref": "https://example.org/a.json"}}}', "leads out of the file"),
        ('{"properties": {"a": {"$ref": "#/$defs/b"}}}', "leads nowhere"),
        ('{"properties": {"a": {"$ref": "#here"}}, "$defs": {"b": {"$anchor": "here"}}}', "names an $anchor"),
        ('{"properties": {"enum": {"$ref": "b.json"}}}', "leads out of the file"),
        ('{"properties": ["a"]}', "is no JSON Schema: at properties"),
    ],
)
def test_what_is_no_schema_is_refused(tmp_path: Path, content, message):
    path = tmp_path / "схема.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidOptionError, match=r"metric 'kie': .*схема\.json") as refused:
        create_all({"kie": {"schema": str(path)}})
    assert message in str(refused.value)


def test_a_schema_that_is_gone_stops_scoring_and_no_report(tmp_path: Path):
    options = {"schema": str(tmp_path / "gone.json")}
    with pytest.raises(InvalidOptionError, match="can't be read: No such file"):
        create_all({"kie": options})
    assert create("kie", options).combine("kie_f1", np.array([2.0, 4.0])) == 0.5  # a report sums up without it


def test_alternatives_and_parts_that_refer_to_themselves():
    schema = {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "null"},
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            ],
            "properties": {"дети": {"type": "array", "items": {"$ref": "#/items"}}},
        },
    }
    metric = create("kie", {"schema": schema})
    assert metric.schema.keys()["[].a"] == "amount"
    assert metric.check_reference('[{"дети": [{"a": 1, "дети": [{"x": 1}]}]}]') == ""
    assert metric.check_reference('[{"б": 1}]') == "'[]' has 'б', which the schema doesn't name"


def test_the_schema_is_part_of_the_version_whatever_its_layout(tmp_path: Path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA, indent=8), encoding="utf-8")
    versions = {create("kie", {"schema": given_as}).version for given_as in (str(path), SCHEMA)}
    assert len(versions) == 1 and versions != {create("kie").version}


def test_macro_figures_of_nothing_are_undefined():
    metric = create("kie")
    for name in ("kie_f1_macro", "kie_precision_macro", "kie_recall_macro"):
        assert math.isnan(metric.combine(name, np.zeros(6)))
        assert metric.combine(name, np.zeros((4, 5, 6))).shape == (4, 5)
