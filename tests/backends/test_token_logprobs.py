"""Log-probabilities in the forms of OpenAI, vLLM 0.33.0 and SGLang 0.5.23, and tokens of another text."""

from __future__ import annotations

import json

import pytest

from backends.api import Endpoint, Generation, GenerationRequest, Message, Sampling, TextPart, TokenLogprobs
from backends.events import ServerEvent
from backends.stream import Answer
from backends.token_logprobs import Reader
from backends.wire import body
from runner.store.lines import from_json, to_json


def entry(token, logprob, given="same"):
    """A token in OpenAI's form; `given` are its bytes."""
    told = list(token.encode()) if given == "same" else given if given is None else list(given)
    return {"token": token, "logprob": logprob, "bytes": told, "top_logprobs": []}


def read(*entries, answer, **options):
    reader = Reader()
    for one in entries:
        reader.add({"content": [one]})
    return reader.of(answer, **options)


def test_each_token_brings_characters_of_the_text():
    found = read(entry("Пет", -0.1), entry("ров", -0.0200004), answer="Петров")
    assert found == TokenLogprobs((3, 3), (-0.1, -0.02))


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(  # OpenAI, SGLang with a byte-level tokenizer: the bytes of each piece
            [entry("П", -0.1), entry("�", -0.2, b"\xd0"), entry("�", -0.3, b"\xb5")], id="pieces with their bytes"
        ),
        pytest.param(  # vLLM: the piece that completes it has the whole character
            [entry("П", -0.1), entry("", -0.2), entry("е", -0.3)], id="the last piece has all"
        ),
    ],
)
def test_pieces_of_a_character_belong_to_the_character(entries):
    assert read(*entries, answer="Пе") == TokenLogprobs((1, 0, 1), (-0.1, -0.2, -0.3))


@pytest.mark.parametrize("end", ["<|im_end|>", "</s>", "<end_of_turn>", "<eos>", "\n", "<|eot_id|>"])
def test_the_end_of_the_turn_is_no_part_of_the_answer(end):
    assert read(entry("12", -0.1), entry(end, -5.0), answer="12") == TokenLogprobs((2,), (-0.1,))


def test_spaces_that_a_server_loses_belong_to_the_token_behind_them():
    """SGLang decodes each token by itself: `▁Петров` becomes `Петров`. vLLM gives the first a space."""
    tokens = [entry("Иван", -0.1), entry("Петров", -0.2), entry(".", -0.3), entry("</s>", -9)]
    assert read(*tokens, answer="Иван Петров.") == TokenLogprobs((4, 7, 1), (-0.1, -0.2, -0.3))
    assert read(*tokens, answer="Иван  Петров . ") == TokenLogprobs((4, 8, 3), (-0.1, -0.2, -0.3))
    thought = [entry("Думаю", -5), entry("о", -5), entry("</think>", -5), *tokens]
    assert read(*thought, answer="Иван Петров.", has_reasoning=True).lengths == (4, 7, 1)
    assert read(entry(" Иван", -0.1), entry(" Петров", -0.2), answer="Иван Петров").lengths == (4, 7)
    assert read(*tokens, answer="Иван Петрова.").problem
    assert read(entry("12", -0.1), answer=" ").problem


def test_reasoning_and_stop_texts_are_no_part_of_the_answer():
    tokens = [entry("<think>", -1), entry("12 или 13", -2), entry("</think>\n\n1", -3), entry("3", -0.5)]
    assert read(*tokens, answer="13", has_reasoning=True) == TokenLogprobs((1, 1), (-3, -0.5))
    assert "don't give the answer's text" in read(*tokens, answer="13").problem
    stopped = [entry("13", -0.5), entry(" \n##", -0.1)]
    assert read(*stopped, answer="13 ", stop=("\n#",)) == TokenLogprobs((2, 1), (-0.5, -0.1))
    assert read(*stopped, answer="13 ").problem


@pytest.mark.parametrize(
    ("entries", "answer", "reason"),
    [
        ([entry("Сид", -0.1), entry("оров", -0.1)], "Петров", "after 0 equal characters"),
        ([entry("Пет", -0.1)], "Петров", "after 3 equal characters"),
        ([entry("П", -0.1), entry("�", -0.2), entry("�", -0.3)], "Пе", "without their bytes"),
        # SGLang drops the tokens of a step without text from a stream: their bytes are missing.
        ([entry("П", -0.1), entry("�", -0.3, b"\xb5")], "Пе", "after 1 equal characters"),
        ([entry("token_id:12", -0.1, None)], "12", "ids without their text"),
        ([{"token": "12", "bytes": None}], "12", "can't be read"),
        ([entry("12", None)], "12", "is no log-probability"),
        ([entry("12", float("nan"))], "12", "is no log-probability"),
        ([entry("12", 0.7)], "12", "is no log-probability"),
        ([entry("12", "-0.1")], "12", "is no log-probability"),
        ([entry("12", -0.1), "12"], "12", "can't be read"),
        ([entry("12", -0.1)], "", "the answer is empty"),
        ([entry("12", -0.1), entry("12", -0.1)], "12", "don't give the answer's text"),
    ],
)
def test_tokens_of_another_text_are_told_of_and_never_a_number(entries, answer, reason):
    found = read(*entries, answer=answer)
    assert reason in found.problem
    assert not found.logprobs
    assert not found.lengths


def test_servers_that_send_none_are_not_a_problem():
    reader = Reader()
    for nothing in (None, {}, {"content": None}, {"content": []}, {"content": None, "refusal": None}):
        reader.add(nothing)
    assert reader.of("12") is None


def test_the_form_of_completions_is_read_as_well():
    reader = Reader()
    reader.add({"tokens": ["1", "2"], "token_logprobs": [-0.1, -9e9], "text_offset": [0, 1]})
    assert reader.of("12") == TokenLogprobs((1, 1), (-0.1, -9999.0))


def test_a_broken_form_costs_no_answer():
    answer = Answer()
    for logprobs in ("so", 7, [1], {"content": {"a": 1}}, {"content": [[]]}):
        choice = {"index": 0, "delta": {"content": "1"}, "finish_reason": "stop", "logprobs": logprobs}
        answer.add(ServerEvent("", json.dumps({"choices": [choice]}).encode()))
    assert answer.problem() is None
    assert answer.text == "11111"
    assert answer.logprobs.of(answer.text).problem


def test_they_are_asked_for_only_where_they_are_wanted():
    messages = (Message("user", (TextPart("1"),)),)
    for dialect in ("local", "openai"):
        endpoint = Endpoint("http://127.0.0.1:1/v1", "m", dialect=dialect)
        assert "logprobs" not in json.loads(body(GenerationRequest("k", messages, Sampling()), endpoint))
        wanted = json.loads(body(GenerationRequest("k", messages, Sampling(), logprobs=True), endpoint))
        assert wanted["logprobs"] is True
        assert "top_logprobs" not in wanted


def test_they_are_stored_and_older_rows_can_still_be_read():
    kept = Generation("k", "12", None, token_logprobs=TokenLogprobs((1, 1), (-0.1, -0.2)))
    row = json.loads(json.dumps(to_json(kept)))
    assert from_json(row) == kept
    del row["token_logprobs"]
    assert from_json(row).token_logprobs is None
