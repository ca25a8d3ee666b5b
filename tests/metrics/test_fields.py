import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.fields import KINDS, read_amount, read_date, read_money, read_name, read_number
from metrics.registry import InvalidOptionError, create

from .cases import case, quick, score


@pytest.mark.parametrize(
    "text",
    [
        "28 сентября 2010",
        "28.09.2010 г.",
        "28.09.2010",
        "2010-09-28",
        "«28» сентября 2010 года",
        "28/9/2010",
        "28-09-10",
        "28 сент. 2010г.",
        "September 28, 2010",
        "28th of September 2010",
        "28\xa0СЕНТЯБРЯ\xa02010 Г.",
        " 28.09.10г ",
        "2010.09.28",
        "２８.09.2010",
    ],
)
def test_dates(text):
    assert read_date(text) == "2010-09-28"


@pytest.mark.parametrize(
    "text", ["31.02.2010", "28 брюмера 2010", "Дата: 28.09.2010", "2010", "", "28.09", "00.00.0000"]
)
def test_what_is_no_date_stays(text):
    assert read_date(text) == text


@pytest.mark.parametrize(
    ("text", "iso"), [("1 мая 1969", "1969-05-01"), ("1.3.69", "1969-03-01"), ("1.3.68", "2068-03-01")]
)
def test_may_and_short_years(text, iso):
    assert read_date(text) == iso


@pytest.mark.parametrize(
    ("text", "money"),
    [
        ("1 234,50 руб.", "1234.50 RUB"),
        ("1234.5 ₽", "1234.50 RUB"),
        ("1\u202f234 р.", "1234.00 RUB"),
        ("1,234.50", "1234.50"),
        ("1.234,50 EUR", "1234.50 EUR"),
        ("$1,234", "1234.00 USD"),
        ("20 588 рублей", "20588.00 RUB"),
        ("1 234 руб. 50 коп.", "1234.50 RUB"),
        ("-15,00", "-15.00"),
        ("12 345 678", "12345678.00"),
    ],
)
def test_money(text, money):
    assert read_money(text) == money
    assert read_amount(text) == money.split()[0]


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0,125", "0.125"),  # a group never begins with 0
        ("0.125", "0.125"),
        ("0,5", "0.50"),
        ("1,234.567", "1234.567"),  # of two different signs the last is the decimal one
        ("1.234,567", "1234.567"),
        ("1 234,567", "1234.567"),
        ("1'234.567", "1234.567"),
        ("1’234’567.5", "1234567.50"),
        ("1\xa0234\u2009567,89", "1234567.89"),
        ("1,234", "1234.00"),  # a single sign before three digits is a group's, either way
        ("1.234", "1234.00"),
        ("12,345,678", "12345678.00"),
        ("1234,567", "1234.567"),  # no group has four digits
        ("1,2345", "1.2345"),
        ("99,999 руб.", "99999.00"),
        ("99,9990", "99.9990"),
        ("0,1000", "0.10"),
        ("\u22121 234,50", "-1234.50"),
        ("–5", "-5.00"),
        ("5-", "-5.00"),
        ("(1 234,50)", "-1234.50"),
        ("(1 234,50 руб.)", "-1234.50"),
        ("$-5.10", "-5.10"),
        ("+7,00", "7.00"),
        ("-0,00", "0.00"),
        ("1\u200b234,50", "1234.50"),
    ],
)
def test_amounts_keep_every_decimal_and_their_sign(text, amount):
    fields = {"fields": {"Сумма": "amount"}}
    assert score("exact_match", case(text, amount, field="Сумма"), fields)["exact_match"].value == 1
    if "\u200b" not in text:
        assert read_amount(text) == read_amount(amount) == amount


@pytest.mark.parametrize(
    "text", ["0,123,456", "1,23,456.78", "1.234 567", "1,234,56.7.8", "--5", "1-2", "- - 5", "(5", "1,2,3"]
)
def test_what_is_no_amount_stays(text):
    assert read_amount(text) == text


def test_a_wrong_amount_is_not_right():
    for answer, truth in (("125", "0,125"), ("0,12", "0,125"), ("1234", "1234,567"), ("5", "(5)")):
        one = case(answer, truth, field="Сумма")
        assert score("exact_match", one, {"fields": {"Сумма": "amount"}})["exact_match"].value == 0


@pytest.mark.parametrize("text", ["0 125", "1 0000", "12 34", "1 23 456,5", "0'125"])
def test_spaces_separate_groups_of_three_or_the_text_is_no_amount(text):
    assert read_amount(text) == text
    assert read_amount("40 702\u00a0810,5") == "40702810.50"


@pytest.mark.parametrize("text", ["сто рублей", "12 яблок", "1,2,3", "", "руб.", "12.03.2001", "10 USD EUR"])
def test_what_is_no_money_stays(text):
    assert read_money(text) == text


def test_numbers_and_names():
    assert len({read_number(text) for text in ("45 08 № 123-456", "4508123456", "№ 45.08 123456")}) == 1
    assert read_number("II-AB № 123") == read_number("II-АВ 123")
    assert read_number("N 15/7") == read_number("номер: 157") == "157"
    assert read_number("нет") == "нет"
    assert read_name("ИВАНОВА - ПЕТРОВА  Алёна") == read_name("Иванова-Петрова Алена.") == "иванова-петрова алена"
    assert read_name("Иван Иванов") != read_name("Иванов Иван")


@quick
@given(text=st.text())
@pytest.mark.parametrize("kind", KINDS)
def test_reading_never_fails_and_twice_changes_nothing_more(kind, text):
    read = KINDS[kind]
    assert read(read(text)) == read(text)


def test_the_configuration_says_which_fields_are_read():
    fields = {"Дата": "date", "invoice/Итог": "money", "receipt/*": "amount", "receipt/Имя": "text"}
    for metric, right in (("exact_match", 1), ("cer", 0), ("wer", 0), ("anls", 1)):
        for one in (
            case("28 сентября 2010", "28.09.2010 г.", field="Дата", doc_class="passport"),
            case("100 руб.", "100,00 ₽", field="Итог", doc_class="invoice"),
            case("100 руб.", "100", field="Скидка", doc_class="receipt"),
        ):
            assert score(metric, one, {"fields": fields})[metric].value == right
            assert score(metric, one)[metric].value != right
        for one in (case("100", "100,00", field="Имя", doc_class="receipt"), case("100", "100,00", field="Итог")):
            assert score(metric, one, {"fields": fields})[metric].value != right


def test_what_was_read_is_shown_and_named_in_the_version():
    one = score("exact_match", case("28 сентября 2010", "28.09.2010", field="Дата"), {"fields": {"Дата": "date"}})
    assert one["exact_match"].detail == "compared '2010-09-28' with '2010-09-28'"
    assert create("cer", {"fields": {"Дата": "date"}}).version.endswith("Дата=date")
    assert create("cer").version == "2 NFC+invisible+collapse_whitespace+strip"


@pytest.mark.parametrize("fields", ["date", {"Дата": "dates"}, ["Дата"]])
def test_options_are_checked(fields):
    with pytest.raises(InvalidOptionError, match="fields"):
        create("anls", {"fields": fields})


@pytest.mark.parametrize("name", ["Раи\u0306он", "Рай\u00adон", "\u00a0Район"])
def test_the_kind_of_a_field_is_found_by_what_its_name_looks_like(name):
    one = case("5", "5,00", field="Район")
    assert score("exact_match", one, {"fields": {name: "amount"}})["exact_match"].value == 1
