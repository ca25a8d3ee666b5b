"""Figures as tables write them, in two languages."""

import pytest

from metrics.numerals import figure, has_decimal_comma


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("15.74", 15.74), ("15,74", 15.74), (" -0,5 ", -0.5), ("0,125", 0.125), ("1e3", 1000), ("4", 4)),
        *(
            ("1 234,5", 1234.5),
            ("1\u00a0234 567", 1234567),
            ("1,234.5", 1234.5),
            ("1.234,5", 1234.5),
            ("1234,567", 1234.567),
        ),
        ("\u22125", -5),
    ],
)
def test_what_can_be_read_in_one_way_is_read(text, number):
    assert figure(text) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_000", "50%", "1,2,3", "4 s", "#N/A", "12 34"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="is no number"):
        figure(text)


def test_a_comma_before_three_digits_is_told_by_its_column():
    with pytest.raises(ValueError, match=r"'1,234' may be 1\.234 or 1234"):
        figure("1,234")
    assert has_decimal_comma(["", "1,234", "15,74"]) and not has_decimal_comma(["1,234", "15.74"])
    assert figure("1,234", decimal_comma=True) == 1.234
