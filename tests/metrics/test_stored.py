"""Columns that came with the answers, as measures."""

import pytest

from metrics.aggregate import aggregate
from metrics.registry import InvalidOptionError, create
from tests.metrics.cases import case

RATIO = {"column": "C", "divide_by": "R", "valid": [0, 10]}


def scored(columns, *rows):
    metric = create("stored", {"columns": columns})
    cases = [case("", sample_id=str(number), facts={"columns": row}) for number, row in enumerate(rows)]
    scores = list(metric.score(cases))
    return [(one.value, one.reason) for one in scores], aggregate(cases, scores, [metric])


def test_a_column_is_a_measure_and_its_aggregate_the_mean():
    values, (figure,) = scored({"perplexity": {"column": "P", "better": "lower"}}, {"P": "2"}, {"P": "4.5"}, {"P": " "})
    assert values == [(2, ""), (4.5, ""), (None, "no value in column P")]
    assert (figure.measure, figure.value, figure.n, figure.n_unscored) == ("perplexity", 3.25, 2, 1)
    assert create("stored", {"columns": {"p": {"column": "P", "better": "lower"}}}).measures[0].better == "lower"


def test_ratios_and_outliers_on_either_side():
    rows = ({"C": "4", "R": "8"}, {"C": "11", "R": "8"}, {"C": "4", "R": "-1"}, {"C": "1", "R": "0"}, {"C": "1"})
    values, _ = scored({"ratio": RATIO}, *rows)
    assert [value for value, _ in values] == [0.5, None, None, None, None]
    reasons = [reason for _, reason in values[1:]]
    assert reasons == [
        "outlier: column C holds 11, outside 0 to 10",
        "outlier: column R holds -1, outside 0 to 10",
        "column R is 0",
        "no value in column R",
    ]


@pytest.mark.parametrize("text", ["nan", "inf", "None", "1,500", "50%"])
def test_what_is_no_number_is_unscored(text):
    ((value, reason),), _ = scored({"p": "P"}, {"P": text})
    assert value is None
    assert text in reason


@pytest.mark.parametrize(
    "given", [3, {"divide_by": "R"}, {"column": "C", "typo": 1}, {"column": "C", "better": "more"},
              {"column": "C", "valid": [10, 0]}, {"column": "C", "valid": 5}],
)  # fmt: skip
def test_options_that_are_wrong(given):
    with pytest.raises(InvalidOptionError, match=r"columns\.m"):
        create("stored", {"columns": {"m": given}})


def test_a_decimal_comma_is_read_and_told_by_the_column():
    values, _ = scored({"p": "P"}, {"P": "15,74"}, {"P": "1,500"}, {"P": ""})
    assert [value for value, _ in values] == [15.74, 1.5, None]


def test_the_version_says_which_columns():
    assert create("stored", {"columns": {"ratio": RATIO}}).version == "2 ratio=C / R within [0, 10]"


@pytest.mark.parametrize("column", ["Раи\u0306он", "Район\u00a0", {"column": "Рай\u00adон"}])
def test_a_column_is_found_by_what_its_name_looks_like(column):
    one = case("", facts={"columns": {"Район": "2,5"}})
    (score,) = create("stored", {"columns": {"x": column}}).score([one])
    assert score.value == 2.5
