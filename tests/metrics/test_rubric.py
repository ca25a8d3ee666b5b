"""What a judge is asked, and which replies are verdicts."""

import pytest

from metrics.api import Case
from metrics.rubric import InvalidVerdict, Rubric

CASE = Case(sample_id="1", document="1", prediction="ours", references=("theirs",), rival="rival's", question="What?")


def rubric(kind: str = "pairwise", **changed) -> Rubric:
    shown = "{{ answer_1 }} | {{ answer_2 }}" if kind == "pairwise" else "{{ answer }} | {{ references }}"
    parts = {
        "criteria": {"usefulness": "helps", "accuracy": "is right"},
        "low": 0.0,
        "high": 10.0,
        "system": "",
        "template": f"{{{{ question }}}} {shown} {{{{ shape }}}}",
        "repair": "{{ problem }}",
    }
    return Rubric(name="r", kind=kind, **(parts | changed))


def reply(first: str = '{"usefulness": 7, "accuracy": 8.5}', second: str = '{"usefulness": 1, "accuracy": 0}') -> str:
    return f'{{"explanation": " why ", "answer_1": {first}, "answer_2": {second}}}'


@pytest.mark.parametrize("text", [reply(), f"I think.\n```json\n{reply()}\n```", f'not {{"a": 1}} but {reply()} so'])
def test_a_verdict_may_stand_between_words(text: str):
    read = rubric().read(text)
    assert read.points == ({"usefulness": 7, "accuracy": 8.5}, {"usefulness": 1, "accuracy": 0})
    assert read.explanation == "why"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON object"),
        ("7/10", "no JSON object"),
        ('{"explanation": "why", "answer_1": {"usefulness": 7,}', "not JSON"),
        (reply().replace(" why ", "  "), "explanation"),
        (reply().replace('"explanation": " why ", ', ""), "explanation: Field required"),
        (reply('{"usefulness": 7}'), "answer_1.accuracy"),
        (reply('{"usefulness": 11, "accuracy": 8}'), "less than or equal to 10"),
        (reply('{"usefulness": -1, "accuracy": 8}'), "greater than or equal to 0"),
        (reply('{"usefulness": "7", "accuracy": 8}'), "valid number"),
        (reply('{"usefulness": true, "accuracy": 8}'), "valid number"),
        (reply('{"usefulness": NaN, "accuracy": 8}'), "usefulness"),
        (reply("[7, 8]"), "answer_1"),
        ("[1, 2]", "no JSON object"),
        ("{" * 3000, "not JSON"),
    ],
)
def test_what_is_no_verdict_is_said(text: str, words: str):
    with pytest.raises(InvalidVerdict) as raised:
        rubric().read(text)
    assert words in str(raised.value)


def test_orders_are_swapped_and_nothing_else_is_told():
    first, second = (rubric().ask(CASE, order)[0][1] for order in (1, 2))
    assert "ours | rival's" in first and "rival's | ours" in second
    assert first.replace("ours | rival's", "") == second.replace("rival's | ours", "")


def test_a_long_answer_is_cut_and_the_judge_is_told():
    asked = rubric(max_answer_characters=3).ask(CASE, 1)[0][1]
    assert "our\n[... 1 more characters, cut]" in asked


def test_a_request_to_repair_holds_the_reply_and_the_problem():
    turns = rubric().ask(CASE, 1)
    again = rubric().ask_again(turns, "7/10", "no JSON")
    assert again == (*turns, ("assistant", "7/10"), ("user", "no JSON"))


def test_the_schema_is_strict_and_explains_first():
    schema = rubric().schema
    assert list(schema["properties"]) == ["explanation", "answer_1", "answer_2"] == schema["required"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["answer_1"]["required"] == ["usefulness", "accuracy"]
    assert rubric("absolute").read('{"explanation": "x", "answer": {"usefulness": 1, "accuracy": 2}}').points


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"template": "{{ answer_1 }}"}, "answer_2 is not used"),
        ({"template": "{{ answer_1 }}{{ answer_2 }}{{ model }}"}, "unknown variable model"),
        ({"template": "{% if %}"}, "template, line 1"),
        ({"repair": "again"}, "problem is not used"),
        ({"criteria": {}}, "at least one"),
        ({"criteria": {"a b": "x"}}, "'a b' is no name"),
        ({"low": 10.0}, "scale"),
    ],
)
def test_a_rubric_that_can_not_work_is_refused(changed: dict, words: str):
    with pytest.raises(ValueError, match=words):
        rubric(**changed)


def test_any_change_makes_another_rubric():
    digests = {one.digest for one in (rubric(), rubric(system="x"), rubric(high=5.0), rubric("absolute"))}
    assert len(digests) == 4
