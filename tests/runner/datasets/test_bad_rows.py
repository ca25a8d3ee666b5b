"""What can be wrong with JSON rows, images and filters: each message names file and row or key, and what is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.datasets import DatasetConfig, open_dataset
from tests.runner.datasets.bad_input import GOOD, HEADER, annotations, has, jsonl, refusal, row

# ------------------------------------------------------------------------------------------------- JSON


def test_a_duplicate_id_names_both_rows(tmp_path: Path) -> None:
    message = jsonl(tmp_path, row(), row(id="2"), row(id=1))
    has(message, "rows.jsonl:3: id '1' is there twice, first in ", "rows.jsonl:1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": 1, ', "is not JSON: Expecting property name"),
        ("[1]", "is no JSON object"),
        ('{"id": 1, "images": ["1.jpg"], "question": "?", "references": [NaN]}', "NaN is not a value of JSON"),
        (row(id=None), "id is missing or empty"),
        (row(id=["1"]), 'id is a list (["1"]), not a text or a number'),
        (row(images=[]), "images is missing or empty"),
        (row(images=[1]), "images is a list"),
        (row(images={"a": 1}), "images is an object"),
        (row(images=["1.jpg", None]), "images is a list of 2, and number 2 of it is empty"),
        (row(images=["", "1.jpg"]), "images is a list of 2, and number 1 of it is empty"),
        (row(question=7), "question is the number 7, not a text"),
        (row(references={"a": "Я"}), 'references is an object ({"a": "Я"}), not a list of answers'),
        (row(references=[True]), "references is a list ([true]), not a list of answers"),
        (row(answerable="yes"), 'answerable is a text ("yes"), not true, false or null'),
        (row(doc_class=["a"]), "doc_class is a list"),
        (row(question=""), "the question is empty"),
        (row(question=None), "the question is empty"),
    ],
)
def test_wrong_json_names_the_row(tmp_path: Path, line: object, message: str) -> None:
    has(jsonl(tmp_path, row(id="0"), line), "rows.jsonl:2: ", message)


@pytest.mark.parametrize("key", ["answer", "answers", "Reference", "gt", "ground_truth", "refrences", "ответ", "label"])
@pytest.mark.parametrize("value", ["Я", ["Я", "я"]])
def test_answers_under_another_key_are_told_with_the_remedy_that_works(tmp_path: Path, key: str, value: object) -> None:
    line = {"id": "1", "images": ["1.jpg"], "question": "Кто?", key: value}
    remedy = f"'dataset.columns={{references: {key}}}' (null: not read)"
    has(jsonl(tmp_path, line), f"rows.jsonl:1: there is no references, but a key {key!r}", remedy)
    config = DatasetConfig(format="jsonl", path=str(tmp_path / "rows.jsonl"), columns={"references": key})
    (sample,) = open_dataset(config)
    assert sample.references == (("Я",) if value == "Я" else ("Я", "я"))
    config = DatasetConfig(format="jsonl", path=str(tmp_path / "rows.jsonl"), columns={"references": None})
    assert next(iter(open_dataset(config))).references == ()


def test_other_needed_keys_are_told_too(tmp_path: Path) -> None:
    lines = ({"id": 1, "image": "1.jpg", "question": "?"}, {"id": 2, "images": ["1.jpg"], "query": "?"})
    message = jsonl(tmp_path, *lines, {"qid": 3, "images": ["1.jpg"], "question": "?"})
    has(message, "there is no images, but a key 'image'", "there is no question, but a key 'query'", "{id: qid}")


def test_a_row_that_says_itself_that_it_has_no_reference(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    (tmp_path / "rows.jsonl").write_text(
        '{"id": "1", "images": ["1.jpg"], "question": "?", "references": [], "gt": "x"}'
    )
    assert len(open_dataset(DatasetConfig(format="jsonl", path=str(tmp_path / "rows.jsonl")))) == 1


def test_a_line_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b'{"id": 1}\n{"id": "\xcf"}\n')
    has(refusal(format="jsonl", path=str(tmp_path / "rows.jsonl")), "rows.jsonl:2: is not UTF-8: byte 0xcf")


@pytest.mark.parametrize(
    ("text", "message"),
    [("[]", 'has no list "data"'), ('{"data": [1]}', "data[0]: is no JSON object"), ("{", "is not JSON")],
)
def test_docvqa_of_another_shape(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    has(refusal(format="docvqa", path=str(tmp_path / "a.json")), "a.json", message)


def test_twenty_problems_and_a_count(tmp_path: Path) -> None:
    message = jsonl(tmp_path, *(row(id=number, question="") for number in range(50)))
    has(message, "rows.jsonl:20: the question is empty", "... and 30 more problems")
    assert "rows.jsonl:21:" not in message


# ------------------------------------------------------------------------------------------------- images


def test_images_that_are_missing_or_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    message = jsonl(
        tmp_path,
        row(id=1, images=["1.jpg", "no.jpg"]),
        row(id=2, images=["letter.docx"]),
        row(id=3, images=["folder.png"]),
        row(id=4, images=["1.jpg#page=2"]),
        row(id=5, images=["scan.pdf#page=0"]),
        row(id=6, images=["a\0b.jpg"]),
    )
    has(message, "rows.jsonl:1: image 'no.jpg' does not exist", f"looked in {tmp_path}; set dataset.images")
    has(message, "rows.jsonl:2: image 'letter.docx': .docx files are not read", ".png")
    has(message, "rows.jsonl:3: image 'folder.png' is not a file")
    has(message, "rows.jsonl:4: image '1.jpg#page=2': only a PDF has pages")
    has(message, "rows.jsonl:5: image 'scan.pdf#page=0': '0' is no page", "pages count from 1")
    has(message, "rows.jsonl:6: image 'a\\x00b.jpg' can't be reached")


def test_images_must_lie_within_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").touch()
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "2.jpg").touch()
    folder = tmp_path / "set"
    (folder / "within").mkdir(parents=True)
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "linked").symlink_to(tmp_path / "aside")
    (folder / "fine.jpg").symlink_to(folder / "1.jpg")
    named = [str(tmp_path / "secret.jpg"), "../secret.jpg", "link.jpg", "linked/2.jpg", "within/../../secret.jpg"]
    fine = ["fine.jpg", "within/../1.jpg", str(folder / "1.jpg")]
    message = jsonl(folder, *(row(id=name, images=[name]) for name in named + fine))
    for line, name in enumerate(named, start=1):
        has(message, f"rows.jsonl:{line}: image {name!r} lies outside the folder of images, {folder}")
    assert "rows.jsonl:6" not in message
    # the pictures may lie anywhere where the user says so
    config = DatasetConfig(format="jsonl", path=str(folder / "rows.jsonl"), images=str(tmp_path), limit=1)
    assert len(open_dataset(config)) == 1


def test_a_link_in_a_folder_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").touch()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    (tmp_path / "set" / "b.jpg").symlink_to("b.jpg")
    has(refusal(format="images", path=str(tmp_path / "set")), "a.jpg' lies outside", "image 'b.jpg' can't be reached")


def test_the_remedy_for_links_out_of_the_folder_works(tmp_path: Path) -> None:
    """What the refusal says to add is added: the folder that a link leads to, whatever it is called."""
    (tmp_path / "скан ы").mkdir()
    (tmp_path / "скан ы" / "2.jpg").touch()
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "images").symlink_to(tmp_path / "скан ы")
    (folder / "one.jpg").symlink_to(tmp_path / "скан ы" / "2.jpg")
    for name in ("images/2.jpg", "one.jpg", "images/../images/2.jpg"):
        message = jsonl(folder, row(id="1", images=[name]))
        has(message, f"-> name the folder that its link leads to: dataset.images='{tmp_path / 'скан ы'}'")
        for allowed in (tmp_path / "скан ы", tmp_path):
            config = DatasetConfig(format="jsonl", path=str(folder / "rows.jsonl"), images=str(allowed))
            assert open_dataset(config).samples[0].images[0].path.resolve() == tmp_path / "скан ы" / "2.jpg"
    # a folder that was not named stays closed
    (tmp_path / "other").mkdir()
    config = {"format": "jsonl", "path": str(folder / "rows.jsonl"), "images": str(tmp_path / "other")}
    has(refusal(**config), "does not exist", "set dataset.images where the pictures lie elsewhere")
    # a folder of pictures is named by its path
    (folder / "rows.jsonl").unlink()
    has(refusal(format="images", path=str(folder)), f"leads to: dataset.path='{tmp_path / 'скан ы'}'")


def test_only_the_pictures_that_are_asked_about_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    lines = (HEADER, GOOD, GOOD.replace("1.jpg", "no.jpg").replace("акт", "счет"))
    has(annotations(tmp_path, *lines), "image 'no.jpg' does not exist")
    assert len(open_dataset(DatasetConfig(format="annotations", path=str(tmp_path), doc_class="акт"))) == 1


# ------------------------------------------------------------------------------------------------- filters


def test_filters_that_leave_nothing(shared: Path) -> None:
    path = str(shared / "demo_mini")
    message = refusal(format="annotations", path=path, doc_class=["passport", "invoce"])
    has(message, "dataset.doc_class: nothing in the dataset has doc_class 'invoce'", "there are: passport, invoice")
    message = refusal(format="annotations", path=path, doc_class="passport", field="Продавец")
    has(message, "no sample has doc_class=passport and field=Продавец", "but not together")
    has(refusal(format="annotations", path=path, split={"a": 1}), "dataset.split", "one value or a list")
    has(refusal(format="annotations", path=path, limit=0), "dataset.limit: 0 is out of range")


def test_a_filter_on_what_a_format_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    has(
        refusal(format="images", path=str(tmp_path), split="test"), "nothing in the dataset has split 'test'", "(empty)"
    )
