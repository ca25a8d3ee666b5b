"""What a cell shows: number formats, lost values, and texts that come back as they were written."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from runner.datasets import cells
from runner.datasets.sheets import read_sheet
from runner.datasets.tables import Table
from runner.datasets.text_files import read_csv


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (7, "General", "7"),
        (7.0, "@", "7"),
        (0.1 + 0.2, "General", "0.3"),
        (1.1**2, "General", "1.21"),
        (1e-5, "General", "0.00001"),
        (770708389312, "General", "770708389312"),
        (999999999999999, "0", "999999999999999"),
        (7, "000", "007"),
        (0.15, "0%", "15%"),
        (0.155, "0.0%", "15.5%"),
        (0.5, "0 %", "50 %"),
        (1.5, "0.00", "1.50"),
        (1.005, "0.00", "1.01"),
        (-1.5, "0.00;[Red]-0.00", "-1.50"),
        (-1.5, "0.00", "-1.50"),
        (7, '0.00 "руб."', "7.00 руб."),
        (7, "0.00\\ [$₽-419]", "7.00 ₽"),
        (12.5, "#,##0.00", "12.50"),
    ],
)
def test_a_number_is_read_as_it_is_shown(value, code, shown):
    assert cells.number(value, code).shown == shown


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1234.5, "#,##0.00"),  # 1,234.50 or 1 234,50: the program's language decides
        (-1.5, "0.00;(0.00)"),
        (-1.5, "0.00;[Red]0.00"),  # shown red and without a sign
        (-1.5, "0.00;0.00-"),
        (0.5, "# ?/?"),
        (5e6, "0.00E+00"),
        (1500000, "0,"),
        (123, "000-000"),
        (0, ";;;"),
        (5, "[>100]0;0.0"),
        (1e15, "0"),
        (4.081781009991e19, "General"),
        (1e-10, "General"),
    ],
)
def test_a_number_whose_look_is_not_known_says_why_and_keeps_what_is_stored(value, code):
    cell = cells.number(value, code)
    assert cell.shown is None and cell.lost
    assert float(cell.value) == value


@pytest.mark.parametrize(
    "text",
    [
        *(
            "#N/A",
            "#Н/Д",
            "#ИМЯ?",
            "#REF!",
            "#ССЫЛКА!",
            "#DIV/0!",
            " #ЗНАЧ! ",
            "########",
            "##",
            "4,08178E+19",
            "4.08E+19",
        ),
        *("4.081781009991e+19", "1E-05", "nan", "NaN", "NaT", "<NA>", "Err:502", "Ошибка:508"),
    ],
)
def test_what_is_left_of_a_lost_value_is_known(text):
    assert cells.lost(text)


@pytest.mark.parametrize("text", ["", "007", "#1", "№ 5", "1e3", "E+10", "None", "null", "NA", "12,5", "#Россия", "-"])
def test_a_text_is_no_lost_value(text):
    assert not cells.lost(text)


def test_a_text_that_csv_keeps_from_a_spreadsheet():
    assert cells.unwrapped('="007"') == "007"
    assert cells.unwrapped('="say ""yes"""') == 'say "yes"'
    assert cells.unwrapped("=1+1") == "=1+1"


# ------------------------------------------------------------------------------------------------- there and back

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=40).filter(
    lambda text: text.strip() and not cells.lost(text) and cells.unwrapped(text) == text
)


def answer(table: Table) -> list[str]:
    return [line.texts["Answer"] for line in table.lines(("Answer",))]


@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@example(texts=["007", "1.50", "1e3", "28.09.2010", "40817810099910004312", " да ", "'=1", "a\nb;c", "True", "=1+1"])
@settings(max_examples=60, deadline=None)
def test_texts_of_a_csv_come_back(texts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=";").writerows([["id", "Answer"], *([n, text] for n, text in enumerate(texts))])
        assert answer(read_csv(path, "a table", ";")) == texts


@given(texts=st.lists(TEXTS.filter(lambda text: not ILLEGAL_CHARACTERS_RE.search(text)), min_size=1, max_size=4))
@example(texts=["007", "1.50", "1e3", "28.09.2010", "40817810099910004312", " да ", "'=1", "a\nb", "True", "_x000D_"])
@settings(max_examples=30, deadline=None)
def test_texts_of_a_workbook_come_back(texts):
    book = openpyxl.Workbook()
    book.active.append(["id", "Answer"])
    for number, text in enumerate(texts, start=2):
        cell = book.active.cell(number, 2)
        cell.value, cell.data_type = text.replace("_x", "_x005F_x"), "s"  # as Excel writes what looks like an escape
    with tempfile.TemporaryDirectory() as folder:
        book.save(Path(folder) / "t.xlsx")
        assert answer(read_sheet(Path(folder) / "t.xlsx")) == texts


@given(
    value=st.floats(allow_nan=False, allow_infinity=False, min_value=-1e14, max_value=1e14).filter(
        lambda x: x == 0 or abs(x) > 1e-8
    )
)
@settings(max_examples=200, deadline=None)
def test_a_number_shown_in_general_is_the_number_to_fifteen_digits(value):
    shown = cells.number(value, "General").shown
    assert shown is not None and "e" not in shown.lower()
    assert float(shown) == pytest.approx(value, rel=1e-14)
