"""Every format on real data: how many samples, what the first one holds, and the rules that a format has."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pytest

from runner.datasets import DatasetConfig, Image, LoadedDataset, Sample, open_dataset


def opened(**keys: object) -> LoadedDataset:
    return open_dataset(DatasetConfig(**keys))


def pictures(folder: Path, *names: str) -> Path:
    """Files that exist and hold nothing that could be decoded: opening a dataset must not try."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no picture")
    return folder


def jsonl(folder: Path, *rows: object) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return str(path)


# ------------------------------------------------------------------------------------------------- annotations


def test_the_annotation_folder_demo_mini(shared: Path) -> None:
    dataset = opened(format="annotations", path=str(shared / "demo_mini"))
    assert len(dataset) == 22
    assert next(iter(dataset)) == Sample(
        id="0",
        document="1",
        images=(Image(shared / "demo_mini/images/1.jpg"),),
        question="Напиши Серия и номер паспорта",
        references=("4 505 679 944",),
        doc_class="passport",
        field="Серия и номер паспорта",
        meta={"answer_bbox": "[1420, 280, 1470, 750]"},
    )
    assert [sample.document for sample in dataset].count("1") == 7
    assert dataset.notes == ()


def test_the_id_is_the_row_of_the_whole_file(shared: Path) -> None:
    dataset = opened(format="annotations", path=str(shared / "demo_mini"), doc_class="invoice", limit=2)
    assert [sample.id for sample in dataset] == ["14", "15"]


def test_filters_take_a_value_or_a_list(shared: Path) -> None:
    dataset = opened(
        format="annotations", path=str(shared / "demo_mini"), field=["Имя", "Продавец"], split="test_clean"
    )
    assert [sample.field for sample in dataset] == ["Имя", "Имя", "Продавец", "Продавец"]


def test_the_annotation_file_snils_with_images_elsewhere(shared: Path, tmp_path: Path) -> None:
    pictures(tmp_path, "images/6.jpg")
    dataset = opened(
        format="annotations", path=str(shared / "snils/snils_dataset_annotations.csv"), images=str(tmp_path)
    )
    assert len(dataset) == 9
    assert next(iter(dataset)).references == ("353-721-310 54",)


def test_several_images_of_a_row_are_a_json_list(tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "annotation.csv").write_text(
        "data_index;image_path;question;answer;doc_class;question_type\n"
        '1;"[""1.jpg"", ""2.jpg""]";Кто?;007;act;Имя\n'
        "\n"
        "2;1.jpg;Кто?;;act;Имя\n",
        "utf-8",
    )
    first, second = opened(format="annotations", path=str(tmp_path))
    assert [image.path.name for image in first.images] == ["1.jpg", "2.jpg"]
    assert first.references == ("007",)
    assert (second.id, second.references) == ("1", ())


def test_samples_without_reference_are_noted(tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    path = jsonl(
        tmp_path,
        {"id": 1, "images": ["1.jpg"], "question": "Кто?", "references": ["Я"]},
        {"id": 2, "images": ["1.jpg"], "question": "Кто?"},
        {"id": 3, "images": ["1.jpg"], "question": "Кто?", "answerable": False},
    )
    (note,) = opened(format="jsonl", path=path).notes
    assert "1 of 3 samples have no reference" in note
    assert "rows.jsonl:2" in note


def test_another_encoding_and_separator(tmp_path: Path) -> None:
    pictures(tmp_path, "1.jpg")
    text = "data_index,image_path,Вопрос,answer,doc_class,question_type\n1,1.jpg,Кто?,Я,акт,Имя\n"
    (tmp_path / "annotation.csv").write_bytes(text.encode("cp1251"))
    options = {"separator": ",", "encoding": "cp1251"}
    (sample,) = opened(
        format="annotations", path=str(tmp_path), options=options, columns={"question": "Вопрос", "split": None}
    )
    assert (sample.question, sample.doc_class) == ("Кто?", "акт")


# ------------------------------------------------------------------------------------------------- spreadsheet


@pytest.mark.parametrize("images", ["vqa_phone/images", None])
def test_the_spreadsheet_vqa_phone(shared: Path, images: str | None) -> None:
    dataset = opened(
        format="spreadsheet",
        path=str(shared / "vqa_phone/QA_phone.xls"),
        images=str(shared / images) if images else None,
    )
    assert len(dataset) == 48
    assert len({sample.document for sample in dataset}) == 24
    first = next(iter(dataset))
    assert first.id == "0"
    assert first.question == "Могу ли я выбрать другую сумму для пополнения?"
    assert first.references == ('Да, вы можете выбрать и ввести любую сумму вручную в поле "Сумма от 1 рубля".',)
    assert first.images == (Image(shared / "vqa_phone/images/17-46-12.jpg"),)


def workbook(folder: Path, *rows: list[object], merge: str | None = None) -> str:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["File_name", "Question", "Answer"], *rows):
        sheet.append(row)
    if merge:
        sheet.merge_cells(merge)
    book.save(folder / "qa.xlsx")
    return str(folder / "qa.xlsx")


def test_numbers_of_a_spreadsheet_are_read_as_written(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    path = workbook(tmp_path, ["a.jpg", "Сколько?", 1], ["a.jpg", "Сколько?", 0.5], ["a.jpg", "Код?", "007"])
    assert [sample.references for sample in opened(format="spreadsheet", path=path)] == [("1",), ("0.5",), ("007",)]


def test_a_merged_file_name_counts_for_its_rows(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    path = workbook(tmp_path, ["a.jpg", "Кто?", "Я"], [None, "Где?", "Тут"], merge="A2:A3")
    assert [sample.document for sample in opened(format="spreadsheet", path=path)] == ["a.jpg", "a.jpg"]


# ------------------------------------------------------------------------------------------------- images


def test_the_folder_screen_annotation_in_natural_order(shared: Path) -> None:
    dataset = opened(format="images", path=str(shared / "screen_annotation/images"), question="Что здесь?")
    assert [sample.id for sample in dataset] == [f"test_{number}.jpg" for number in range(1, 11)]
    first = next(iter(dataset))
    assert (first.question, first.references, first.document) == ("Что здесь?", (), "test_1.jpg")
    assert dataset.notes == ()


def test_a_folder_needs_no_question_and_leaves_other_files_out(tmp_path: Path) -> None:
    pictures(tmp_path, "2.png", "10.PNG", "notes.txt", ".hidden.png", "within/1.png")
    assert [(sample.id, sample.question) for sample in opened(format="images", path=str(tmp_path))] == [
        ("2.png", ""),
        ("10.PNG", ""),
    ]


# ------------------------------------------------------------------------------------------------- jsonl


def test_a_jsonl_row_with_all_it_can_have(tmp_path: Path) -> None:
    pictures(tmp_path, "7/1.png", "7/scan.pdf")
    row = {
        "id": "7-1",
        "images": ["7/1.png", "7/scan.pdf#page=3", "7/scan.pdf"],
        "question": "Сколько?",
        "references": ["две", 2],
        "document": 7,
        "split": "dev",
        "doc_class": "акт",
        "field": "Сумма",
        "answerable": True,
        "context": "Стороны договорились",
        "source": {"page": 1},
    }
    (sample,) = opened(format="jsonl", path=jsonl(tmp_path, row), split="dev")
    scan = tmp_path / "7/scan.pdf"
    assert sample == Sample(
        id="7-1",
        document="7",
        images=(Image(tmp_path / "7/1.png"), Image(scan, 2), Image(scan)),
        question="Сколько?",
        references=("две", "2"),
        doc_class="акт",
        field="Сумма",
        context="Стороны договорились",
        answerable=True,
        meta={"source": {"page": "1"}},
    )


def test_json_numbers_keep_their_spelling(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png")
    (tmp_path / "rows.jsonl").write_text('{"id": 1, "images": ["1.png"], "question": "?", "references": [1.50, 1.0]}')
    (sample,) = opened(format="jsonl", path=str(tmp_path / "rows.jsonl"))
    assert sample.references == ("1.50", "1.0")
    assert sample.document == "1.png"


def test_a_hundred_thousand_rows_open(tmp_path: Path) -> None:
    pictures(tmp_path, "1.png")
    rows = ({"id": number, "images": ["1.png"], "question": "Кто?", "references": ["Я"]} for number in range(100_000))
    dataset = opened(format="jsonl", path=jsonl(tmp_path, *rows))
    assert len(dataset) == 100_000
    samples = list(dataset)
    assert samples[0].images[0] is samples[-1].images[0]


# ------------------------------------------------------------------------------------------------- docvqa


def test_docvqa_has_several_references(tmp_path: Path) -> None:
    pictures(tmp_path, "documents/xnbl0037_1.png")
    question = {
        "questionId": 337,
        "question": "what is the date mentioned in this letter?",
        "image": "documents/xnbl0037_1.png",
        "docId": 279,
        "ucsf_document_id": "xnbl0037",
        "ucsf_document_page_no": "1",
        "answers": ["1/8/93", "1/8/1993"],
        "data_split": "train",
    }
    hidden = {"questionId": 338, "question": "who?", "image": "documents/xnbl0037_1.png", "docId": 280}
    (tmp_path / "train.json").write_text(json.dumps({"dataset_name": "docvqa", "data": [question, hidden]}))
    first, second = opened(format="docvqa", path=str(tmp_path / "train.json"))
    assert (first.id, first.document, first.references) == ("337", "xnbl0037", ("1/8/93", "1/8/1993"))
    assert (second.document, second.references) == ("280", ())
