"""Answers that are held to a JSON Schema (`response_format`), by a tiny model that would never write JSON by itself."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

SCHEMA = {
    "type": "object",
    "properties": {"города": {"type": "array", "items": {"enum": ["Псков", "Тверь"]}, "minItems": 1, "maxItems": 2}},
    "required": ["города"],
    "additionalProperties": False,
}


def held(schema: dict) -> dict:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def test_an_answer_follows_its_schema_and_ends_by_itself(server, bodies):
    for content in ("Hello", bodies.picture()):
        _, body = server.ask(content, response_format=held(SCHEMA), max_tokens=200)
        choice = body["choices"][0]
        assert choice["finish_reason"] == "stop", body
        found = json.loads(choice["message"]["content"])
        assert (
            set(found) == {"города"} and set(found["города"]) <= {"Псков", "Тверь"} and len(found["города"]) in (1, 2)
        )


def test_sampled_answers_follow_it_as_well(server):
    texts = [
        server.text("Hello", response_format=held(SCHEMA), max_tokens=200, temperature=5.0, seed=seed)
        for seed in (1, 2, 3)
    ]
    assert all(set(json.loads(text)["города"]) <= {"Псков", "Тверь"} for text in texts)


def test_answers_of_one_batch_are_each_held_to_their_own(server):
    """Free answers, and answers held to other schemas, share a batch without touching each other."""
    formats = [
        None,
        held(SCHEMA),
        held({"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"], "additionalProperties": False}),
        None,
    ]
    free = server.text("Hello", max_tokens=60)

    def ask(response_format):
        return server.text("Hello", max_tokens=60, **({"response_format": response_format} if response_format else {}))

    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(ask, formats * 2))
    for given, text in zip(formats * 2, texts, strict=True):
        if given is None:
            assert text == free
        elif given is formats[2]:
            assert json.loads(text)["n"] == 7


def test_what_can_not_be_held_is_refused(server):
    for schema in ({"type": "object", "not": {}}, {"type": "objekt"}, {"type": "string", "format": "iban"}):
        status, body = server.ask("Hello", response_format=held(schema))
        assert status == 400 and body["error"]["param"] == "response_format", body
    assert server.text("Hello", response_format={"type": "text"}) == server.text("Hello")


@pytest.mark.parametrize(
    "given",
    [
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"schema": []}},
        "json",
        {"json_schema": {"schema": SCHEMA}},  # OpenAI's reference wants the type; without it nothing may be unheld
        {"type": "json_object"},
    ],
)
def test_a_format_that_is_none_is_refused(server, given):
    status, body = server.ask("Hello", response_format=given)
    assert status == 400 and "response_format" in str(body["error"])
