import pytest

from metrics.aggregate import metric_values
from metrics.registry import InvalidOptionError, create
from metrics.splits import by_answerability

from .cases import case, overall, score


def asked(answer: str | None, answerable: bool | None, **more):
    facts = {} if answerable is None else {"answerable": answerable}
    return case(answer, facts=facts, **more)


@pytest.mark.parametrize(
    "answer",
    [
        "В документе не указано.",
        "Нет данных",
        "",
        " \n",
        "нет",
        "None",
        "N/A",
        "-",
        "The date is not stated.",
        "unanswerable",
        "Поле не заполнено",
        "Отсутствует",
        "Information isn’t given",
        "Я не могу ответить на этот вопрос",
        "null.",
    ],
)
def test_abstaining(answer):
    scores = score("abstention", asked(answer, False))
    assert (scores["abstention"].value, scores["hallucination"].value) == (1, 0)
    assert scores["false_abstention"].reason == "the question is not answerable"
    assert score("abstention", asked(answer, True))["false_abstention"].value == 1


@pytest.mark.parametrize("answer", ["Иванов", "12.03.2001", "0", "Нетребко", "Нонна", "Договор " * 40 + "не указано"])
def test_answering(answer):
    scores = score("abstention", asked(answer, False))
    assert (scores["abstention"].value, scores["hallucination"].value) == (0, 1)
    right = score("abstention", asked(answer, True))
    assert right["false_abstention"].value == 0
    assert right["hallucination"].reason == "the question is answerable"


def test_a_right_no_is_an_answer():
    assert score("abstention", case("Нет.", "нет", facts={"answerable": True}))["false_abstention"].value == 0


def test_what_is_not_marked_or_failed_is_unscored():
    assert {one.reason for one in score("abstention", asked("да", None)).values()} == {
        "not marked as answerable or not"
    }
    assert {one.reason for one in score("abstention", asked(None, False)).values()} == {
        "no answer: the generation failed"
    }


def test_rates_count_only_their_questions():
    cases = [
        asked(answer, mark, sample_id=str(number))
        for number, (answer, mark) in enumerate(
            [("нет", False), ("Иванов", False), ("нет", True), ("Да", True), ("x", None)]
        )
    ]
    figures = overall("abstention", cases)
    assert {name: (one.value, one.n, one.n_unscored) for name, one in figures.items()} == {
        "abstention": (0.5, 2, 3),
        "hallucination": (0.5, 2, 3),
        "false_abstention": (0.5, 2, 3),
    }


def test_quality_split_by_answerability():
    cases = [
        case("да", "да", sample_id="1", doc_class="паспорт", facts={"answerable": True}),
        case("ок", "нет", sample_id="2", doc_class="паспорт", facts={"answerable": False}),
        case("ок", "ок", sample_id="3"),
    ]
    metric = create("exact_match")
    figures = by_answerability(cases, list(metric.score(cases)), [metric], replicates=20)
    assert metric_values(figures) == {
        "quality/exact_match/by/answerable_true": 1,
        "quality/exact_match/by/answerable_false": 0,
    }
    assert by_answerability(cases[:1], list(metric.score(cases[:1])), [metric]) == []


def test_options():
    assert score("abstention", asked("увы", False), {"phrases": ["^увы$"]})["abstention"].value == 1
    for bad in ({"phrases": ["("]}, {"phrases": "увы"}, {"max_characters": 0}):
        with pytest.raises(InvalidOptionError, match=next(iter(bad))):
            create("abstention", bad)


def test_an_answer_that_was_cut_before_it_began_is_no_choice_not_to_answer():
    cut = case("", facts={"answerable": True, "finish_reason": "length"})
    assert score("abstention", cut)["false_abstention"].reason == "cut off before the answer began"
    ended = case("", facts={"answerable": True, "finish_reason": "stop"})
    assert score("abstention", ended)["false_abstention"].value == 1
