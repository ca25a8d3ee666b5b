"""`found`: does a reference stand in the answer, as a whole?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.registry import InvalidOptionError, create

from .cases import case

PAGE = "ПАСПОРТ № 431030\nИмя Глеб\nФамилия  Федорко\nДата рождения 09.03.1987"


def found(prediction: str | None, *references: str, **options: object) -> float | None:
    (score,) = create("found", options).score([case(prediction, *references)])
    return score.value


@pytest.mark.parametrize(
    ("answer", "reference", "value"),
    [
        (PAGE, "Федорко", 1),
        (PAGE, "Фамилия Федорко", 1),  # whitespace and line ends are one space
        (PAGE, "Имя Глеб Фамилия", 1),
        (PAGE, "09.03.1987", 1),
        (PAGE, "Федор", 0),  # a part of a longer word
        (PAGE, "1030", 0),  # a part of a longer number
        (PAGE, "1987", 1),  # beside a sign, not beside a digit
        (PAGE, "№", 1),
        (PAGE, "федорко", 0),  # letters are kept as exact match keeps them
        ("2012 12", "12", 1),  # the first place is a part, the second is whole
        ("", "12", 0),
        ("Федорко", "Федорко", 1),
    ],
)
def test_a_reference_stands_in_an_answer(answer: str, reference: str, value: float):
    assert found(answer, reference) == value


def test_any_of_several_references_counts():
    assert found(PAGE, "Петров", "Федорко") == 1
    assert found(PAGE, "Петров", "Сидоров") == 0


def test_what_is_not_scored_and_what_is_an_option():
    assert found(None, "12") is None
    assert found(PAGE) is None
    assert found(PAGE, " ") is None
    assert found(PAGE, "федорко", normalisation={"case": "fold"}) == 1
    with pytest.raises(InvalidOptionError, match="fields"):
        create("found", {"fields": {"Дата": "date"}})


@given(st.text(), st.text(min_size=1))
def test_it_is_never_below_exact_match(answer: str, reference: str):
    cases = [case(answer, reference)]
    (exact,), (one,) = create("exact_match").score(cases), create("found").score(cases)
    assert exact.value is None or one.value >= exact.value
