"""The probability of an answer and of the values of its JSON, and what counts as wrong."""

from __future__ import annotations

import json
import math

import pytest

from metrics.answer_tokens import AnswerTokens
from metrics.json_spans import by_key, of_answer
from metrics.registry import MetricError, check_needs, create

from .cases import case


def answered(text, *references, tokens=None, **more):
    """A case whose tokens are (text, probability)."""
    facts = more.pop("facts", {})
    if tokens is not None:
        assert "".join(one for one, _ in tokens) == text
        lengths, logprobs = [len(one) for one, _ in tokens], [math.log(p) for _, p in tokens]
        facts = facts | {"token_logprobs": AnswerTokens.of(lengths, logprobs)}
    return case(text, *references, facts=facts, **more)


def scored(cases, *others, **options):
    """Score cases by confidence after other metrics, as the runner does; the scores by (name, part, sample, repeat)."""
    metric = create("confidence", options)
    made = [create(name) for name in others]
    measures = [measure for one in made for measure in one.measures]
    wanted = metric.needs(measures)
    rows = [row for one in made for row in one.score(cases) if row.name in wanted]
    found = metric.score_after(cases, rows, measures) if others else metric.score(cases)
    return {(row.name, row.part, row.sample_id, row.repeat): row for row in found}


@pytest.mark.parametrize(("of", "expected"), [("product", 0.72), ("mean", math.sqrt(0.72)), ("minimum", 0.8)])
def test_the_probability_of_an_answer(of, expected):
    found = scored([answered("Петров", "Петров", tokens=[("Пет", 0.9), ("ров", 0.8)])], of=of)
    assert found["probability", "", "a", 0].value == pytest.approx(expected, abs=1e-6)
    assert found["wrong", "", "a", 0].value == 0


def test_pieces_of_a_character_count_with_it():
    tokens = AnswerTokens.of([1, 0, 1, 1], [-1.0, -2.0, -3.0, -4.0])
    assert tokens.within([(0, 1)]) == [-1]
    assert tokens.within([(1, 2)]) == [-2, -3]
    assert tokens.within([(2, 3), (0, 1)]) == [-1, -4]
    assert tokens.within([(3, 9)]) == []
    assert tokens.confidence("product", [(3, 9)]) is None


def test_wrong_is_what_the_main_measure_says():
    one = answered("Иванов", "Ивонов", tokens=[("Иванов", 0.9)])
    assert scored([one], "exact_match")["wrong", "", "a", 0].value == 1
    assert scored([one], "cer")["wrong", "", "a", 0].value == 1
    assert scored([one], "cer", level=0.2)["wrong", "", "a", 0].value == 0
    assert scored([one], "anls", level=0.8)["wrong", "", "a", 0].value == 0
    assert scored([one], "exact_match", "anls", measure="anls", level=0.8)["wrong", "", "a", 0].detail == "anls"
    assert scored([one])["wrong", "", "a", 0].value == 1, "alone, no exact match is wrong"


def test_what_is_not_known_is_no_number():
    none, failed = case("12", "12"), case(None, "12", sample_id="b", facts={"failure": "timeout: too slow"})
    problem = case("12", "12", sample_id="c", facts={"token_logprobs": AnswerTokens(problem="other tokens")})
    other = case("123", "12", sample_id="d", facts={"token_logprobs": AnswerTokens.of([2], [-0.1])})
    without = answered("12", sample_id="e", tokens=[("12", 0.5)])
    found = scored([none, failed, problem, other, without], "exact_match")
    reasons = {key[2]: row.reason for key, row in found.items() if key[0] == "probability" and row.value is None}
    assert reasons.keys() == {"a", "b", "c", "d"}
    assert "no log-probabilities are stored" in reasons["a"] and "sampling.logprobs=true" in reasons["a"]
    assert reasons["b"] == "no answer: timeout: too slow"
    assert reasons["c"] == "log-probabilities: other tokens"
    assert reasons["d"] == "the tokens have 2 characters, the answer 3"
    assert found["probability", "", "e", 0].value == pytest.approx(0.5)
    assert found["wrong", "", "e", 0].value is None, "without a reference it is not known whether it is wrong"
    assert found["wrong", "", "b", 0].value is None


def test_repeats_agree_where_there_are_no_tokens():
    texts = ["12", " 12", "13", "12"]
    cases = [case(text, "12", repeat=repeat) for repeat, text in enumerate(texts)]
    found = scored(cases, "exact_match", temperature=0.7)
    shares = [found["probability", "", "a", repeat].value for repeat in range(4)]
    assert shares == pytest.approx([2 / 3, 2 / 3, 0, 2 / 3]), "of the *other* repeats"
    greedy = scored(cases, "exact_match", temperature=0)
    assert "the same answer again" in greedy["probability", "", "a", 0].reason
    assert scored(cases[:1], temperature=0.7)["probability", "", "a", 0].value is None, "one answer agrees with nothing"
    with_tokens = [answered(text, "12", repeat=repeat, tokens=[(text, 0.9)]) for repeat, text in enumerate(texts)]
    assert scored(with_tokens, temperature=0.7)["probability", "", "a", 2].value == pytest.approx(0.9)
    by_repeats = scored(with_tokens, temperature=0.7, source="repeats")
    assert by_repeats["probability", "", "a", 2].value == 0
    assert scored(cases, temperature=0.7, source="tokens")["probability", "", "a", 0].value is None


TOKENS = [
    *((" {", 0.9), ('"', 0.9), ("номер", 0.9), ('": "', 0.9), ("1", 0.8), ("2", 0.5), ('", ', 0.99), ('"цены', 0.9)),
    *(('":', 0.9), (" [", 0.9), ("5", 0.7), (",", 0.98), (" 7", 0.6), ("]", 0.97), ("}", 0.9)),
]
TEXT = "".join(one for one, _ in TOKENS)


def test_the_value_of_a_key_has_the_tokens_of_its_characters_and_of_its_end():
    truth = json.dumps({"номер": "12", "цены": [5, 8]}, ensure_ascii=False)
    found = scored([answered(TEXT, truth, tokens=TOKENS)], "kie")
    assert found["probability", "номер", "a", 0].value == pytest.approx(0.8 * 0.5 * 0.99)
    assert found["probability", "цены[]", "a", 0].value == pytest.approx(0.7 * 0.98 * 0.6 * 0.97)
    assert (found["wrong", "номер", "a", 0].value, found["wrong", "цены[]", "a", 0].value) == (0, 1)
    values = 0.8 * 0.5 * 0.99 * 0.7 * 0.98 * 0.6 * 0.97
    assert found["probability", "", "a", 0].value == pytest.approx(values), "of all its values, and of nothing else"
    assert found["probability", "", "a", 0].detail == "7 tokens of its values, product"
    assert found["wrong", "", "a", 0].detail == "kie_strict"
    assert found["wrong", "", "a", 0].value == 1
    structured = scored([answered(TEXT, truth, tokens=TOKENS)], "structured")
    assert structured["probability", "цены[1]", "a", 0].value == pytest.approx(0.6 * 0.97)
    assert structured["wrong", "цены[0]", "a", 0].value == 0
    assert structured["wrong", "цены[1]", "a", 0].value == 1


def test_a_key_that_the_answer_lacks_is_wrong_and_has_no_probability():
    truth = json.dumps({"номер": "12", "цены": [5, 7], "дата": "2024"}, ensure_ascii=False)
    found = scored([answered(TEXT, truth, tokens=TOKENS)], "kie")
    assert found["wrong", "дата", "a", 0].value == 1
    assert found["probability", "дата", "a", 0].value is None
    broken = TEXT[:-1]
    found = scored([answered(broken, truth, tokens=TOKENS[:-1])], "kie")
    assert found["probability", "номер", "a", 0].value is None
    assert found["wrong", "номер", "a", 0].value == 1
    assert found["probability", "", "a", 0].detail == "14 tokens, product", "no whole JSON: all of its text"


def read(text, *, of_scalars=False):
    return {path: text[begin:end] for path, (begin, end) in of_answer(text, of_scalars=of_scalars).items()}


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ('{"a": "б\\"в", "c":null , "d": {}}', {"a": 'б\\"в"', "c": "null ", "d": "{}"}),
        ('Вот: ```json\n{"a": {"b": [1, {"c": -2.5e3}]}}\n``` {"a": 1', {"a.b[0]": "1,", "a.b[1].c": "-2.5e3}"}),
        ('{"a": 1, "a": 2}', {"a": "2}"}),
        ('{"a": 1} затем [{"a": ""}]', {"[0].a": '"'}),
        ('{"а\u00adб": true}', {"аб": "true}"}),
        ('{"a": 1,}', {}),
        ("просто текст", {}),
    ],
)
def test_values_are_found_where_they_stand(text, spans):
    assert read(text) == spans


def test_keys_without_numbers_join_the_items_of_a_list():
    spans = of_answer('[{"a": 1, "b": 2}, {"a": 3}]', of_scalars=False)
    assert {key: len(found) for key, found in by_key(spans, numbered=False).items()} == {
        "[].a": 2, "a": 2, "[].b": 1, "b": 1,
    }  # fmt: skip
    assert by_key(spans, numbered=True)["[1].a"] == [spans["[1].a"]]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"of": "sum"}, "of is 'sum'; valid: product, mean, minimum"),
        ({"source": "text"}, "source is 'text'; valid: auto, tokens, repeats"),
        ({"pass_at": [5]}, "shares between 0 and 1"),
        ({"pass_at": 0.05}, "shares between 0 and 1"),
        ({"bins": 1}, "a whole number from 2"),
        ({"level": "high"}, "a number, or null"),
    ],
)
def test_bad_options_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        create("confidence", options)


def test_a_measure_that_no_metric_yields_is_refused():
    metrics = [create("confidence", {"measure": "cer"}), create("exact_match")]
    with pytest.raises(MetricError, match="no other metric yields it; measures: exact_match"):
        check_needs(metrics)
    check_needs([*metrics, create("cer")])
