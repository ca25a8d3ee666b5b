"""Names that look the same are the same, and texts that a spreadsheet may have changed are told of."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import openpyxl
import pytest

from runner.base.errors import Refused
from runner.datasets import DatasetConfig, cells, open_dataset
from tests.runner.datasets.bad_input import GOOD, HEADER

NFD = unicodedata.normalize("NFD", "Район")


def opened(folder: Path, text: str, **keys):
    (folder / "1.jpg").touch()
    (folder / "annotation.csv").write_text(text, "utf-8")
    return open_dataset(DatasetConfig(format="annotations", path=str(folder), **keys))


@pytest.mark.parametrize("change", ["\ufeffdata_index", "que\u200bstion", "an\u00adswer", "\u00a0split\u2009"])
def test_columns_with_characters_that_nobody_sees(tmp_path: Path, change: str):
    plain = cells.label(change)
    assert plain in HEADER
    (sample,) = opened(tmp_path, f"{HEADER.replace(plain, change)}\n{GOOD}\n")
    assert sample.references == ("Я",)


def test_columns_that_a_mac_wrote(tmp_path: Path):
    header = HEADER.replace("image_path", NFD)
    assert opened(tmp_path, f"{header}\n{GOOD}\n", columns={"images": "Район"}).samples
    assert opened(tmp_path, f"{header}\n{GOOD}\n", columns={"images": NFD}).samples


@pytest.mark.parametrize("cell", [NFD, "Рай\u00adон", "Район\u200b", "\u00a0Район"])
def test_a_field_is_found_by_what_it_looks_like(tmp_path: Path, cell: str):
    text = f"{HEADER}\n{GOOD.replace(';Имя;', f';{cell};')}\n"
    (sample,) = opened(tmp_path, text, field="Район")
    assert sample.field == "Район"
    with pytest.raises(Refused):
        opened(tmp_path, text, field="район")


@pytest.mark.parametrize("answer", ["\u200b", "\ufeff \u00ad"])
def test_an_answer_of_nothing_visible_is_no_reference(tmp_path: Path, answer: str):
    dataset = opened(tmp_path, f"{HEADER}\n{GOOD.replace(';Я;', f';{answer};')}\n")
    assert [sample.references for sample in dataset] == [()]
    assert "no reference" in dataset.notes[0]


@pytest.mark.parametrize(
    "text",
    ["04.мар", "мар.04", "1-Mar", "Dez 25".replace(" ", "-"), "12345678901234600000", "0,30000000000000004", "'007",
     "30.12.1899", "1899-12-30 00:00:00"],
)  # fmt: skip
def test_what_a_spreadsheet_may_have_made_is_told_of(tmp_path: Path, text: str):
    dataset = opened(tmp_path, f"{HEADER}\n{GOOD.replace(';Я;', f';{text};')}\n")
    assert [sample.references for sample in dataset] == [(text,)]
    assert repr(text) in dataset.notes[0] and "annotation.csv:2" in dataset.notes[0]


@pytest.mark.parametrize(
    "text", ["4 марта", "март 2004", "04.03", "40817810099910004312", "0,125", "3.14159", "«'»", "мартини", "-5"]
)
def test_what_pages_say_is_not(text: str):
    assert cells.doubtful(text) == cells.lost(text) == ""


@pytest.mark.parametrize("text", ["#WERT!", "#VALEUR!", "#NOM?", "#ERROR!", "#NV", "#ЗНАЧ!", "[object Object]"])
def test_errors_of_spreadsheets_in_other_languages_are_lost_values(text: str):
    assert cells.lost(text)
    assert not cells.lost(f"{text} x")


@pytest.mark.parametrize("text", ['"[""7"", ""семь""]"', "\"['7', 'семь']\"", "\"['7' 'семь']\""])
def test_a_list_of_answers_in_one_cell_is_told_of(tmp_path: Path, text: str):
    dataset = opened(tmp_path, f"{HEADER}\n{GOOD.replace(';Я;', f';{text};')}\n")
    assert "are lists of texts" in dataset.notes[0]


def test_a_list_of_numbers_or_objects_is_an_answer(tmp_path: Path):
    dataset = opened(tmp_path, f"{HEADER}\n{GOOD.replace(';Я;', ';[780, 110];')}\n")
    assert (dataset.notes, dataset.samples[0].references) == ((), ("[780, 110]",))


def lines(folder: Path, **values: str):
    (folder / "1.jpg").touch()
    (folder / "q.jsonl").write_text(json.dumps({"id": "1", "images": ["1.jpg"], "question": "Q"} | values), "utf-8")
    return open_dataset(DatasetConfig(format="jsonl", path=str(folder / "q.jsonl")))


@pytest.mark.parametrize("key", ["expected_answer", "Expected Output", "refs", "solution", "правильный ответ"])
def test_an_answer_under_another_key_is_refused_with_the_remedy(tmp_path: Path, key: str):
    with pytest.raises(Refused, match=rf"columns=\{{references: {key}\}}"):
        lines(tmp_path, **{key: "7"})


def test_an_answer_under_a_key_that_nobody_foresaw_is_told_of(tmp_path: Path):
    dataset = lines(tmp_path, verdict="7", page="3")
    assert "kept with the samples and not read: 'verdict', 'page'" in dataset.notes[1]
    assert "'dataset.columns={references: verdict}'" in dataset.notes[1]
    assert len(lines(tmp_path).notes) == 1
    assert not lines(tmp_path, verdict="7", references="8").notes


def test_an_empty_first_sheet_is_passed_over(tmp_path: Path):
    (tmp_path / "1.png").touch()
    book = openpyxl.Workbook()
    sheet = book.create_sheet("b")
    for row in (["File_name", "Question", "Answer"], ["1.png", "Q", "7"]):
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    dataset = open_dataset(DatasetConfig(format="spreadsheet", path=str(tmp_path / "t.xlsx")))
    assert dataset.samples[0].references == ("7",)
    assert "sheet 'b' was read" in dataset.notes[0]
