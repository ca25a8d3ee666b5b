"""Rows of another program find the samples of a dataset they are about: by id, by document or picture and question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends.api import Failure
from runner.base.errors import Refused
from runner.config.dataset import DatasetConfig
from runner.datasets import open_dataset
from runner.datasets.api import Sample
from runner.datasets.opening import LoadedDataset
from runner.jobs.answer_files import AnswerSet, joined, open_answers
from runner.jobs.answer_files.api import row

ASKED = (("Сумма", "100,00"), ("Дата", "01.02.2024"))


def dataset(folder: Path, pictures: Sequence[str] = ("scans/a.png", "scans/b.png", "scans/й.png")) -> LoadedDataset:
    """Documents 1, 2, 3, two questions each."""
    lines = [
        {
            "id": f"s{number}{field}",
            "document": str(number),
            "images": [picture],
            "question": f"Какая {field.lower()}?",
            "field": field,
            "references": [reference],
        }
        for number, picture in enumerate(pictures, start=1)
        for field, reference in ASKED
    ]
    for picture in pictures:
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        (folder / picture).write_bytes(b"not opened for scoring")
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = DatasetConfig(name="bills", format="jsonl", path=str(folder / "rows.jsonl"))
    return open_dataset(config, pictures=False)


def answer(text: str, document: str = "", question: str = "", *, id: str = "", field: str = "", repeat: int = 0):
    name = id or (f"{document}: {question}" if question else document)
    sample = Sample(name, document or id, (), question, (), field=field)
    return row(sample, text, repeat=repeat, latency_s=0.5, columns={"confidence": "0.9"})


def match(given: Sequence[dict], folder: Path, **more) -> AnswerSet:
    return joined(AnswerSet("product", given, "answers.csv"), dataset(folder, **more))


def texts(found: AnswerSet) -> dict[str, str]:
    return {one["sample_id"]: one["text"] for one in found.rows if one["text"] is not None}


@pytest.mark.parametrize(
    "name",
    ["1", "a.png", "a", "scans/a.png", "./scans/a.png", "scans\\a.png", "C:\\work\\scans\\a.png", "a.txt", " a.png "],
)
@pytest.mark.parametrize("asked", [{"question": "Какая  сумма?"}, {"field": "Сумма"}])
def test_a_document_or_picture_and_a_question_name_a_sample(tmp_path: Path, name: str, asked: dict[str, str]):
    found = match([answer("100", name, **asked)], tmp_path)
    assert texts(found) == {"s1Сумма": "100"}
    first = found.rows[0]
    assert first["references"] == ["100,00"] and first["document"] == "1" and first["field"] == "Сумма"
    assert first["timing"]["latency_s"] == 0.5 and first["columns"] == {"confidence": "0.9"}, (
        "what the table knows stays"
    )


def test_an_id_is_enough(tmp_path: Path):
    assert texts(match([answer("x", id="s1Сумма")], tmp_path)) == {"s1Сумма": "x"}
    found = match([answer("x", "a.png", "Какая сумма?", id="s1Сумма")], tmp_path)
    assert texts(found) == {"s1Сумма": "x"}


@pytest.mark.parametrize(
    ("row_", "words"),
    [
        (answer("x", "a.png", "Какая дата?", id="s1Сумма"), "the row says question 'Какая дата[?]'"),
        (answer("x", "b.png", "Какая сумма?", id="s1Сумма"), "the row says document 'b.png'"),
    ],
)
def test_an_id_that_says_another_thing_than_its_row_is_refused(tmp_path: Path, row_: dict, words: str):
    """Ids counted from 1 would else score each answer against the next sample's reference."""
    with pytest.raises(Refused, match=words):
        match([row_], tmp_path)


def test_ids_whose_references_are_others_are_refused(tmp_path: Path):
    shifted = [("s1Дата", "100,00"), ("s2Сумма", "01.02.2024"), ("s2Дата", "100,00")]
    given = [row(Sample(name, name, (), "", (reference,)), reference) for name, reference in shifted]
    with pytest.raises(Refused, match="3 of 3 answers came with another reference than bills has"):
        match(given, tmp_path)


def test_names_written_with_combining_letters_are_the_same(tmp_path: Path):
    assert texts(match([answer("x", "й.png", field="Дата")], tmp_path)) == {"s3Дата": "x"}  # и and a breve


def test_all_samples_are_there_in_order_and_those_without_an_answer_failed(tmp_path: Path):
    questions = dataset(tmp_path)
    found = match([answer("x", "b", field="Дата"), answer("y", "a", field="Дата")], tmp_path)
    assert [one["sample_id"] for one in found.rows] == [sample.id for sample in questions]
    assert found.dataset_digest == questions.digest()
    lost = [one for one in found.rows if one["error"]]
    assert len(lost) == 4 and all("answers.csv has no answer to this sample" in one["error"]["message"] for one in lost)
    assert "4 of 6 samples have no answer and count as failed: 's1Сумма', 's2Сумма', 's3Сумма', 's3Дата'" in found.notes


def test_a_text_of_a_whole_page_stands_for_every_question_about_it(tmp_path: Path):
    found = match([answer("Сумма 100,00 Дата 01.02.2024", "a.png")], tmp_path)
    assert set(texts(found)) == {"s1Сумма", "s1Дата"}
    assert any("name no question" in note and "metrics=[found]" in note for note in found.notes)


def test_rows_of_no_sample_are_named_and_left_out(tmp_path: Path):
    given = [answer("x", "a", field="Дата"), answer("y", "zz.png", field="Дата"), answer("z", "a", "Какой ИНН?")]
    found = match(given, tmp_path)
    assert texts(found) == {"s1Дата": "x"}
    assert "2 rows belong to no sample of bills and are left out: 'zz.png', 'a: Какой ИНН?'" in found.notes
    assert "1 of 3 rows answer 1 of 6 samples of bills" in found.notes


def test_repeats_stay_and_what_lacks_has_as_many(tmp_path: Path):
    given = [answer(str(n), name, field="Дата", repeat=n) for name in ("a", "b") for n in (0, 1)]
    found = match(given, tmp_path)
    assert [(one["sample_id"], one["repeat"], one["text"]) for one in found.rows if one["field"] == "Дата"] == [
        ("s1Дата", 0, "0"), ("s1Дата", 1, "1"), ("s2Дата", 0, "0"), ("s2Дата", 1, "1"), ("s3Дата", 0, None),
        ("s3Дата", 1, None),
    ]  # fmt: skip


def test_failures_of_the_table_stay_failures(tmp_path: Path):
    sample = Sample("a: ", "a", (), "", (), field="Дата")
    failed = row(sample, None, failure=Failure("bad_response", "licence expired"))
    found = match([failed, answer("y", "b", field="Дата")], tmp_path)
    (kept,) = [one for one in found.rows if one["sample_id"] == "s1Дата"]
    assert kept["text"] is None and kept["error"]["message"] == "licence expired"


def test_another_reference_in_the_table_is_told(tmp_path: Path):
    rows = [("31.12.1999", "Дата", "a"), ("100,00", "Сумма", "a"), ("01.02.2024", "Дата", "b")]
    samples = [Sample(f"{name}: {field}", name, (), "", (reference,), field=field) for reference, field, name in rows]
    found = match([row(sample, "01.02.2024") for sample in samples], tmp_path)
    assert any("1 answers came with another reference than bills has, which counts: 's1Дата'" in n for n in found.notes)
    assert found.rows[1]["references"] == ["01.02.2024"]


@pytest.mark.parametrize(
    ("given", "pictures", "words"),
    [
        ([answer("x", "nowhere.png", field="Дата")], None, "no row belongs to a sample of bills.*'nowhere.png'.*a.png"),
        ([answer("x", "a.png", field="Дата"), answer("y", "1", field="Дата")], None, "both answer sample 's1Дата'"),
        ([answer("x", "a.png", field="Дата")], ("x/a.png", "y/a.png"), "may be about several samples"),
        ([answer("x", "a.png")], ("x/a.png", "y/a.png"), "may be about several samples.*path of the picture"),
        # document 1 or the picture 1.png, which is document 2?
        ([answer("x", "1", field="Дата")], ("2.png", "1.png"), "may be about several samples"),
        ([answer("x", "other/a.png", field="Дата")], None, "no row belongs"),
    ],
)
def test_what_can_not_be_told_apart_is_refused(tmp_path: Path, given, pictures, words: str):
    with pytest.raises(Refused, match=f"(?s){words}"):
        match(given, tmp_path, **({"pictures": pictures} if pictures else {}))


def test_answers_of_vlmhyperbench_name_their_dataset(tmp_path: Path):
    (tmp_path / "annotation.csv").write_text(
        "data_index;image_path;question;answer;doc_class;question_type\n1;1.png;Дата?;01.02.2024;bill;Дата\n", "utf-8"
    )
    (tmp_path / "model.csv").write_text("id;model_answer\n0;x\n", encoding="utf-8")
    config = DatasetConfig(name="bills", format="annotations", path=str(tmp_path))
    questions = open_dataset(config, pictures=False)
    (found,) = open_answers(tmp_path / "model.csv", {}, lambda: questions)
    assert found.dataset_digest == questions.digest()


def test_a_path_tells_pictures_of_one_name_apart(tmp_path: Path):
    given = [answer("x", "x/a.png", field="Дата"), answer("y", "/mnt/disk/y/a.png", field="Дата")]
    assert texts(match(given, tmp_path, pictures=("x/a.png", "y/a.png"))) == {"s1Дата": "x", "s2Дата": "y"}


def test_ids_that_are_counted_from_1_are_told_and_refused_where_they_are_plainly_one_off(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"not opened for scoring")
    lines = [{"id": str(n), "images": ["a.png"], "question": f"{n}?", "references": [f"r{n}"]} for n in range(4)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    numbered = open_dataset(DatasetConfig(name="n", format="jsonl", path=str(tmp_path / "rows.jsonl")), pictures=False)

    def matched(*ids: int, **more: str) -> AnswerSet:
        return joined(AnswerSet("product", [answer(f"r{n}", id=str(n), **more) for n in ids], "answers.csv"), numbered)

    with pytest.raises(Refused, match="ids go from 1 to 4, and those of n from 0 to 3"):
        matched(1, 2, 3, 4)
    doubt = "the ids begin at 1"
    assert any(doubt in note for note in matched(1, 2, 3).notes)
    assert not any(doubt in note for note in (*matched(0, 1, 2).notes, *matched(2, 3).notes))
    assert not any(doubt in note for note in matched(1, question="1?").notes)
