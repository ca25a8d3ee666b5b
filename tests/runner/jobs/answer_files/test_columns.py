"""Which column of a table of answers means what: read where it is plain, told, and never guessed between two."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from runner.base.errors import Refused
from runner.jobs.answer_files import AnswerSet, open_answers


def opened(tmp_path: Path, *lines: str, **columns: str | None) -> list[AnswerSet]:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return open_answers(path, columns, lambda: pytest.fail("a table needs no dataset"))


def told(tmp_path: Path, *lines: str, **columns: str | None) -> str:
    with pytest.raises(Refused) as refused:
        opened(tmp_path, *lines, **columns)
    return str(refused.value)


CUSTOMER = "model_name,Image,Question,Answer,Device,candidate,Time Taken (sec)"


def test_image_and_question_name_a_sample_and_answer_is_the_reference(tmp_path: Path):
    (one,) = opened(tmp_path, CUSTOMER, "m,a.png,Сумма?,100,pc,100,1.5", "m,a.png,Дата?,1 мая,pc,2 мая,1")
    assert [row["sample_id"] for row in one.rows] == ["a.png: Сумма?", "a.png: Дата?"]
    assert [row["repeat"] for row in one.rows] == [0, 0]
    assert [(row["references"], row["text"]) for row in one.rows] == [(["100"], "100"), (["1 мая"], "2 мая")]
    assert "references = 'Answer'" in one.notes[0] and "named by its document and question" in one.notes[0]
    assert "kept beside the answers: 'Device'" in one.notes[0] and "'answer_columns={references: NAME}'" in one.notes[0]


@pytest.mark.parametrize(
    ("header", "answer", "references"),
    [
        ("Картинка,Вопрос,Ответ модели,Эталон", "Ответ модели", "Эталон"),
        ("файл,вопрос,ответ,правильный ответ", "ответ", "правильный ответ"),
        ("Имя файла,Вопрос,Prediction,Ответ", "Prediction", "Ответ"),
        ("image_path,QUESTION,model answer,Ground Truth", "model answer", "Ground Truth"),
        ("File-Name, question ,Answer,GT", "Answer", "GT"),
    ],
)
def test_plain_names_are_read_in_two_languages(tmp_path: Path, header: str, answer: str, references: str):
    (one,) = opened(tmp_path, header, *("a.png,Кто?,да,нет",))
    assert f"answer = {answer!r}" in one.notes[0] and f"references = {references!r}" in one.notes[0]
    (row,) = one.rows
    assert {row["text"], *row["references"]} == {"да", "нет"} and row["question"] == "Кто?"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Image,Answer,question,model_name", "column 'Answer' may be the model's answer or the reference"),
        ("Image,Answer,Ответ,candidate", "column 'Answer' and 'Ответ' may be"),
        ("file,картинка,candidate,reference", "columns 'file' and 'картинка' may each be what is meant by document"),
        ('Image;candidate;"Время, с";Time (s)', """'answer_columns={latency_s: "Время, с"}'"""),
        ("Image,prediction,Ответ модели,reference", "columns 'prediction' and 'Ответ модели' may each be"),
    ],
)
def test_what_could_be_read_in_two_ways_is_asked(tmp_path: Path, header: str, said: str):
    message = told(tmp_path, header, "1;2;3;4" if ";" in header else "1,2,3,4")
    assert said in message and "'answer_columns={" in message


def test_what_the_user_says_goes_before_names(tmp_path: Path):
    lines = ("Image,Answer,candidate,reference", "a,1,2,3")
    (one,) = opened(tmp_path, *lines, answer="Answer", references="candidate")
    assert (one.rows[0]["text"], one.rows[0]["references"]) == ("1", ["2"])
    (one,) = opened(tmp_path, *lines, references=None)
    assert one.rows[0]["references"] == [] and one.rows[0]["columns"] == {"Answer": "1", "reference": "3"}


def test_the_field_tells_questions_apart_where_there_is_no_question(tmp_path: Path):
    (one,) = opened(tmp_path, "Image,field,candidate,reference", "a,Имя,x,x", "a,Город,y,y", "a,Имя,z,x")
    assert [(row["sample_id"], row["repeat"]) for row in one.rows] == [("a: Имя", 0), ("a: Город", 0), ("a: Имя", 1)]


def test_rows_with_other_references_are_no_repeats(tmp_path: Path):
    message = told(tmp_path, "Image,Frage,candidate,reference", "a,Wer?,x,Иванов", "a,Wo?,y,Омск")
    assert (
        "table.csv:3: 'a' has another reference than in" in message and "table.csv:2 ('Иванов' and 'Омск')" in message
    )
    assert "answer_columns={question: NAME}" in message
    (one,) = opened(tmp_path, "Image,Frage,candidate,reference", "a,Wer?,x,И", "a,Wo?,y,О", question="Frage")
    assert [row["repeat"] for row in one.rows] == [0, 0]


def test_references_that_differ_between_models_are_told(tmp_path: Path):
    first, second = opened(tmp_path, "model_name,Image,candidate,reference", "m,a,x,1", "n,a,x,2", "n,b,x,1")
    assert not [note for note in first.notes if "another reference" in note]
    assert "1 samples have another reference for n than for m: a" in second.notes


def test_an_empty_answer_without_a_time_failed_and_others_are_answers(tmp_path: Path):
    lines = ("m,a,Q,x,pc,x,1.5", "m,b,Q,x,pc,,", "m,c,Q,x,pc,,2", "m,d,Q,x,pc,y,", "n,a,Q,x,pc,,", "n,b,Q,x,pc,x,")
    first, second = opened(tmp_path, CUSTOMER, *lines)
    assert [row["error"] is not None for row in first.rows] == [False, True, False, False]
    assert [row["text"] for row in first.rows] == ["x", None, "", "y"]
    notes = " ".join(first.notes)
    assert "1 of 4 answers failed" in notes and "table.csv:3; 1 more are empty and scored as such" in notes
    assert "1 answers are empty and are scored as such" in notes and "table.csv:4" in notes
    assert [row["text"] for row in second.rows] == ["", "x"], "no row of this model has a time: it tells nothing"


@pytest.mark.parametrize(("error", "is_failed"), [("timeout", True), ("0", False), ("None", False), ("", False)])
def test_an_error_beside_an_empty_answer_is_a_failure(tmp_path: Path, error: str, is_failed: bool):
    (one,) = opened(tmp_path, "Image,candidate,error", f"a,,{error}", "b,x,warned")
    assert (one.rows[0]["error"] is not None) is is_failed
    assert (one.rows[1]["text"], one.rows[1]["error"]) == ("x", None)
    if is_failed:
        assert one.rows[0]["error"]["message"] == error


def test_times_with_a_decimal_comma(tmp_path: Path):
    (one,) = opened(tmp_path, "Image;candidate;Time Taken (sec)", "a;x;4,0", "b;x;1,250", "c;x;")
    assert [row["timing"] and row["timing"]["latency_s"] for row in one.rows] == [4.0, 1.25, None]
    assert "may be 1.250 or 1250" in told(tmp_path, "Image;candidate;Time Taken (sec)", "a;x;1,250")


def test_lost_values_are_refused_in_references_and_told_of_in_answers(tmp_path: Path):
    assert "column reference holds '#Н/Д'" in told(tmp_path, "Image,candidate,reference", "a,x,#Н/Д")
    (one,) = opened(tmp_path, "Image;candidate;reference", "a;4,08E+19;4", 'b;="007";007')
    assert [row["text"] for row in one.rows] == ["4,08E+19", "007"]
    assert "1 answers look like what a spreadsheet leaves of a lost value" in one.notes[1]
    assert "'4,08E+19' in" in one.notes[1]


def test_a_workbook_of_answers_keeps_the_rule_of_cells(tmp_path: Path):
    book = openpyxl.Workbook()
    for row in (
        ["Image", "candidate", "reference", "Perplexity"],
        ["a", 0.1 + 0.2, 7, 0.5],
        ["b", 40817810099910004312, "x"],
    ):
        book.active.append(row)
    book.active["C2"].number_format = "000"
    book.active["D2"].number_format = "0%"
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(Refused, match=r"row 3: column candidate \(B3\) holds .*more than 15 digits"):
        open_answers(tmp_path / "t.xlsx", {}, lambda: pytest.fail("no dataset"))
    book.active["B3"] = "40817810099910004312"
    book.save(tmp_path / "t.xlsx")
    (one,) = open_answers(tmp_path / "t.xlsx", {}, lambda: pytest.fail("no dataset"))
    assert [(row["text"], row["references"]) for row in one.rows] == [("0.3", ["007"]), ("40817810099910004312", ["x"])]
    assert one.rows[0]["columns"] == {"Perplexity": "0.5"}, "a figure, and not what is shown of it"
