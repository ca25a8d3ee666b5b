"""Tables of answers: several models, repeats, named columns, and rows that are wrong."""

from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.jobs.answer_files import open_answers

HEADER = "model_name,Image,candidate,reference,Time Taken (sec),Perplexity\n"


def opened(tmp_path: Path, text: str, **columns):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return open_answers(path, columns, lambda: pytest.fail("a table needs no dataset"))


def test_models_repeats_times_and_further_columns(tmp_path):
    text = "a,1,да,да,1.5,7\nb,1,нет,да,,8\na,1,Да,да,2,9\na,2,нет,,0.5,\n"
    first, second = opened(tmp_path, HEADER + text)
    assert (first.name, second.name, first.folder) == ("a", "b", None)
    keys = [(row["sample_id"], row["repeat"], row["document"]) for row in first.rows]
    assert keys == [("1", 0, "1"), ("1", 1, "1"), ("2", 0, "2")]
    assert first.rows[1]["timing"]["latency_s"] == 2
    assert second.rows[0]["timing"] is None
    assert first.rows[0]["columns"] == {"Perplexity": "7"}
    assert (first.rows[2]["references"], first.rows[0]["error"]) == ([], None)
    assert "1 of 3 answers have no reference" in first.notes[1]


def test_columns_of_other_names(tmp_path):
    text = "файл;вопрос;ответ\n1.png;Имя?;Иван\n1.png;Город?;Омск\n"
    (one,) = opened(tmp_path, text, document="файл", question="вопрос", answer="ответ")
    assert one.name == "table"
    assert [row["sample_id"] for row in one.rows] == ["1.png: Имя?", "1.png: Город?"]
    assert {row["repeat"] for row in one.rows} == {0}


def test_suspicious_answers_are_named_by_row(tmp_path):
    (one,) = opened(tmp_path, HEADER + "a,1,None,да,1,1\na,2,,да,1,1\na,3,nan,да,1,1\n")
    assert [row["text"] for row in one.rows] == ["None", "", "nan"]
    assert "table.csv:3" in one.notes[1]
    assert "table.csv:2" in one.notes[2]
    assert "table.csv:4" in one.notes[2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Image,x\n1,a\n", "missing column: candidate"),
        ("candidate,x\n1,a\n", "missing column: Image"),
        (HEADER + ",1,да,да,1,1\n", "table.csv:2: column model_name is empty"),
        (HEADER + "a,,да,да,1,1\n", "table.csv:2: column Image is empty"),
        (HEADER + "a,1,да,да,fast,1\n", "table.csv:2: column Time Taken (sec): 'fast' is no number"),
        (HEADER + "a,1,да,да,-1,1\n", "table.csv:2: column Time Taken (sec): '-1' is less than 0"),
        (HEADER + "a,1,да\n", "table.csv:2: 3 cells"),
        (HEADER, "there are no rows"),
        ("sample_id,candidate\n1,a\n1,b\n", "'1' is there twice"),
        ("sample_id,repeat,candidate\n1,0,a\n1,0,b\n", "'1' is there twice"),
        ("sample_id,repeat,candidate\n1,x,a\n", "column repeat holds 'x'"),
        ("Image,Image,candidate\n1,1,a\n", "column Image is there twice"),
    ],
)
def test_bad_tables_are_refused_by_row(tmp_path, text, said):
    with pytest.raises(Refused) as refused:
        opened(tmp_path, text)
    assert said in str(refused.value)


def test_a_meaning_that_does_not_exist(tmp_path):
    with pytest.raises(Refused, match="unknown: colour"):
        opened(tmp_path, HEADER + "a,1,да,да,1,1\n", colour="x")


def test_lines_of_answers_are_checked(tmp_path):
    path = tmp_path / "answers.jsonl"
    good = '{"sample_id": "1", "repeat": 0, "document": "d", "references": [], "text": "a", "error": null}\n'
    path.write_text(good + good + '{"sample_id": "2"}\n{torn\n' + good.replace('"a"', "null"), encoding="utf-8")
    with pytest.raises(Refused) as refused:
        open_answers(path, {}, lambda: None)
    for part in ("answers.jsonl:2: sample '1', repeat 0, is there twice", ":3: missing", ":4: not JSON", ":5: needs"):
        assert part in str(refused.value)
    path.write_text(good, encoding="utf-8")
    (one,) = open_answers(tmp_path, {}, lambda: None)
    assert (one.folder, one.rows[0]["timing"]) == (None, None)


def test_errors_beside_none_or_nan_are_failures(tmp_path):
    text = "Image,reference,candidate,error\n1,7,None,timeout\n2,7,nan,HTTP 500\n3,7,7,None\n4,7,None,\n"
    (one,) = opened(tmp_path, text)
    assert [row["text"] for row in one.rows] == [None, None, "7", "None"]
    assert one.rows[1]["error"]["message"] == "HTTP 500"


def test_a_status_tells_of_failures_where_there_is_no_column_of_errors(tmp_path):
    text = "Image,reference,candidate,status\n1,7,,failed\n2,7,,ok\n3,7,7,done\n"
    (one,) = opened(tmp_path, text)
    assert [row["text"] for row in one.rows] == [None, "", "7"]
    (one,) = opened(tmp_path, text, error=None)
    assert [row["text"] for row in one.rows] == ["", "", "7"]
    (one,) = opened(tmp_path, "Image,reference,candidate,status,Ошибка\n1,7,,failed,\n")
    assert one.rows[0]["text"] == ""


def test_an_answer_beside_an_error_is_told_of(tmp_path):
    (one,) = opened(tmp_path, "Image,reference,candidate,error\n1,7,Ива,timeout\n2,7,7,\n")
    assert [row["text"] for row in one.rows] == ["Ива", "7"]
    assert any("1 answers have a text in the column of errors" in note and "timeout" in note for note in one.notes)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("ERROR: timeout", True), ("Error code: 429 - {}", True), ("Ошибка: нет ответа", True),
        ("Traceback (most recent call last):", True), ("openai.RateLimitError: x", True), ("HTTP 503", True),
        ("Request timed out.", True), ("Error rate 5%", False), ("Ошибка в счёте", False),
        ("HTTP", False),
    ],
)  # fmt: skip
def test_answers_that_read_like_errors_are_told_of(tmp_path, answer, told):
    (one,) = opened(tmp_path, f"Image,reference,candidate\n1,7,{answer}\n")
    assert any("read like the error" in note for note in one.notes) == told


def test_no_answer_takes_no_time(tmp_path):
    (one,) = opened(tmp_path, HEADER + "a,1,,да,0,1\na,2,да,да,2.5,1\na,3,да,да,0.0,1\n")
    assert [row["text"] for row in one.rows] == [None, "да", "да"]
    assert [(row["timing"] or {}).get("latency_s") for row in one.rows] == [None, 2.5, None]


@pytest.mark.parametrize("other", ["Фаи\u0306л?", "Файл?\u200b", "\u00a0Файл?"])
def test_models_that_name_a_question_in_other_characters_answer_the_same_sample(tmp_path, other):
    text = f"model,Image,question,Answer,candidate\na,1,Файл?,7,7\nb,1,{other},7,8\n"
    first, second = opened(tmp_path, text)
    assert first.rows[0]["sample_id"] == second.rows[0]["sample_id"]


@pytest.mark.parametrize(
    ("answer", "right"), [("Response", "Expected"), ("Hypothesis", "Target"), ("model output", "gold")]
)
def test_names_that_other_programs_give(tmp_path, answer, right):
    (one,) = opened(tmp_path, f"Image,Question,{right},{answer}\n1,Q,7,8\n")
    assert (one.rows[0]["text"], one.rows[0]["references"]) == ("8", ["7"])
