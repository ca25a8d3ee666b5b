"""What can be wrong with a dataset's files and tables: each message names file and row or key, and what is valid."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import openpyxl
import pytest

from runner.datasets import DatasetConfig, open_dataset
from tests.runner.datasets.bad_input import GOOD, HEADER, annotations, has, jsonl, refusal

# ------------------------------------------------------------------------------------------------- files


def test_a_path_is_needed_and_must_exist(tmp_path: Path) -> None:
    for absent in (None, "", "???"):
        has(refusal(format="annotations", path=absent), "dataset.path: a path is needed", "give it: dataset.path=")
    has(refusal(format="images", path="no/such"), "dataset.path: no/such does not exist", str(Path.cwd() / "no/such"))
    has(
        refusal(format="images", path=str(tmp_path), question="?", images="no/such"),
        "dataset.images: no/such does not exist",
    )


def test_an_unknown_format_names_the_known_ones() -> None:
    has(
        refusal(format="pictures", path="."),
        "unknown dataset format 'pictures'",
        "annotations, docvqa, images, json, jsonl",
    )


def test_a_folder_without_annotations_names_its_tables(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    has(refusal(format="annotations", path=str(tmp_path)), "has no annotation.csv", "labels.csv")


@pytest.mark.parametrize(
    ("format_", "name"),
    [("annotations", "annotation.csv"), ("jsonl", "a.jsonl"), ("docvqa", "a.json"), ("spreadsheet", "a.xlsx")],
)
def test_an_empty_file(tmp_path: Path, format_: str, name: str) -> None:
    (tmp_path / name).touch()
    has(refusal(format=format_, path=str(tmp_path / name)), f"{tmp_path / name}: the file is empty")


@pytest.mark.parametrize("format_", ["jsonl", "docvqa", "spreadsheet"])
def test_a_folder_where_a_file_is_read(tmp_path: Path, format_: str) -> None:
    has(refusal(format=format_, path=str(tmp_path)), "is not a file", "dataset.path must name")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "letter.docx").touch()
    has(refusal(format="images", path=str(tmp_path)), "the folder has no pictures", ".png", "letter.docx")
    has(refusal(format="images", path=str(tmp_path / "letter.docx")), "is not a folder")


def test_only_a_header(tmp_path: Path) -> None:
    has(annotations(tmp_path, HEADER), "there are no rows")
    has(jsonl(tmp_path, "\n\n", ""), "there are no rows")


# ------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(("separator", "name"), [(",", "commas"), ("\t", "tabs")])
def test_a_wrong_separator(tmp_path: Path, separator: str, name: str) -> None:
    message = annotations(tmp_path, HEADER.replace(";", separator), GOOD.replace(";", separator))
    has(message, "annotation.csv:1", f"separated by {name} and not by semicolons", "a single column, 'data_index")


def test_a_missing_column_lists_the_found_ones(tmp_path: Path) -> None:
    message = annotations(tmp_path, HEADER.replace("answer;", "reply;"), GOOD)
    has(message, "annotation.csv: missing column: answer; found: data_index, split, image_path", "reply")


def test_a_column_that_differs_in_case_is_told_as_it_is_written(tmp_path: Path) -> None:
    header = HEADER.replace("answer;", "Answer;").replace("doc_class", "Doc Class")
    remedy = "'dataset.columns={references: Answer, doc_class: Doc Class}'"
    has(annotations(tmp_path, header, GOOD), "missing column: answer, doc_class", remedy)
    config = DatasetConfig(
        format="annotations", path=str(tmp_path), columns={"references": "Answer", "doc_class": "Doc Class"}
    )
    assert next(iter(open_dataset(config))).references == ("Я",)


def test_a_column_twice(tmp_path: Path) -> None:
    has(annotations(tmp_path, HEADER.replace("split", "question"), GOOD), "column question is there twice")


def test_unknown_meanings_and_options(tmp_path: Path) -> None:
    has(annotations(tmp_path, HEADER, GOOD, columns={"answer": "x"}), "dataset.columns: unknown: answer", "references")
    has(annotations(tmp_path, HEADER, GOOD, options={"seperator": ","}), "unknown option: seperator", "separator")


def test_ragged_rows_name_their_lines(tmp_path: Path) -> None:
    message = annotations(tmp_path, HEADER, GOOD, "2;test;1.jpg;Кто; где?;Я;акт;Имя;[]", '3;test;1.jpg;"Кто', '?"')
    has(message, "annotation.csv:3: 9 cells, but the header has 8 columns", "annotation.csv:4: 4 cells")


def test_a_quotation_mark_that_would_swallow_lines(tmp_path: Path) -> None:
    has(annotations(tmp_path, HEADER, GOOD, '2;test;1.jpg;"ООО" Заря;Я;акт;Имя;[]'), "annotation.csv:3: not readable")
    has(annotations(tmp_path, HEADER, '2;test;1.jpg;"Кто;Я;акт;Имя;[]', GOOD), "annotation.csv:2: not readable as CSV")


def test_not_utf8_names_byte_and_line(tmp_path: Path) -> None:
    (tmp_path / "annotation.csv").write_bytes(f"{HEADER}\n".encode() + GOOD.encode("cp1251"))
    message = refusal(format="annotations", path=str(tmp_path))
    has(message, "annotation.csv:2: is not utf-8: byte 0xca", "save the file as UTF-8")


def test_an_empty_question(tmp_path: Path) -> None:
    lines = (HEADER, GOOD, GOOD.replace("Кто?", "  "))
    has(annotations(tmp_path, *lines), "annotation.csv:3: the question is empty", "dataset.question")
    config = DatasetConfig(format="annotations", path=str(tmp_path), question="Что?")
    assert [sample.question for sample in open_dataset(config)] == ["Кто?", "Что?"]


@pytest.mark.parametrize("lost", ["nan", "NaN"])
def test_an_answer_of_nan_is_a_lost_value(tmp_path: Path, lost: str) -> None:
    message = annotations(tmp_path, HEADER, GOOD.replace("Я", lost))
    has(message, f"annotation.csv:2: column answer holds '{lost}'", "leave the cell empty")


def test_none_and_null_are_texts(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "annotation.csv").write_text(f"{HEADER}\n{GOOD.replace('Я', 'None')}\n{GOOD.replace('Я', 'null')}")
    dataset = open_dataset(DatasetConfig(format="annotations", path=str(tmp_path)))
    assert [sample.references for sample in dataset] == [("None",), ("null",)]


def test_a_row_without_document_or_image(tmp_path: Path) -> None:
    has(annotations(tmp_path, HEADER, GOOD.replace("1;t", ";t")), "annotation.csv:2: column data_index is empty")
    has(annotations(tmp_path, HEADER, GOOD.replace("1.jpg", "")), "annotation.csv:2: column image_path is empty")
    has(
        annotations(tmp_path, HEADER, GOOD.replace("1.jpg", "[1.jpg")), "annotation.csv:2: column image_path is no list"
    )


def test_a_spreadsheet_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_text("File_name;Question;Answer")
    has(refusal(format="spreadsheet", path=str(tmp_path / "a.xlsx")), "a.xlsx: can't be read as a spreadsheet")


def test_rows_of_a_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    rows = [["a.jpg", "Когда?", datetime.date(1975, 12, 12)], [None, "Кто?", "Я"], ["a.jpg", "Так?", True]]
    for cells in (["File_name", "Question", "Answer"], *rows):
        sheet.append(cells)
    book.save(tmp_path / "a.xlsx")
    message = refusal(format="spreadsheet", path=str(tmp_path / "a.xlsx"))
    has(message, "row 2: column Answer (C2) holds 1975-12-12 as a date", "format the column as text")
    has(message, "row 3: column File_name is empty", "row 4: column Answer (C4) holds True")
    has(refusal(format="spreadsheet", path=str(tmp_path / "a.xlsx"), options={"sheet": "X"}), "no sheet 'X'", "Sheet")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "rows.jsonl").chmod(0)
    has(refusal(format="jsonl", path=str(tmp_path / "rows.jsonl")), "can't be read: Permission denied")
