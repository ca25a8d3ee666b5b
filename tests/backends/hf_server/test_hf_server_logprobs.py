"""Log-probabilities of the HF server beside those of one forward pass of transformers over prompt and answer."""

from __future__ import annotations

import json
import math

import pytest

from tests.backends.hf_server.test_hf_server_models import answer, load_model

SCHEMA = {"type": "object", "properties": {"n": {"enum": [7, "Псков"]}}, "required": ["n"]}
HELD = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


@pytest.fixture(scope="module")
def qwen(tiny_qwen):
    return load_model(tiny_qwen)


def asked(bodies, content, **values):
    return bodies.request(content, logprobs=True, return_token_ids=True, **values)


def told(ticket):
    """Token ids, texts and log-probabilities of an answer."""
    deltas = ticket.events[:-1]
    logprobs = [token for delta in deltas for token in delta.logprobs]
    ids = [token for delta in deltas for token in delta.token_ids]
    assert len(ids) == len(logprobs) == ticket.events[-1].completion_tokens
    return ids, [token.text for token in logprobs], [token.logprob for token in logprobs]


def reference(loaded, ticket, ids, *, schema=None):
    """The log-probabilities of an answer by a forward pass over prompt and answer, without a cache."""
    import torch

    inputs = dict(loaded.family.collate([ticket.prepared]))
    prompt = inputs["input_ids"].shape[1]
    more = torch.tensor([ids], dtype=inputs["input_ids"].dtype)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], more], dim=1)
    for name, fill in (("attention_mask", 1), ("mm_token_type_ids", 0)):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], torch.full_like(more, fill, dtype=inputs[name].dtype)], dim=1)
    with torch.inference_mode():
        logits = loaded.model(**inputs, use_cache=False).logits[0, prompt - 1 : -1].float()
    if schema is not None:
        logits = masked(loaded, logits, ids, schema)
    return logits.log_softmax(dim=-1).gather(1, more[0].long().unsqueeze(1)).squeeze(1).tolist()


def masked(loaded, logits, ids, schema):
    """Forbid what llguidance forbids at each step."""
    import torch
    from llguidance import LLMatcher

    from backends.hf_server import constraint

    tokens = constraint._tokens(loaded.family.tokenizer, tuple(loaded.eos_ids))
    matcher, rows = LLMatcher(tokens, constraint.grammar(json.dumps(schema, ensure_ascii=False))), []
    for row, token in zip(logits, ids, strict=True):
        bits = torch.tensor([byte >> bit & 1 for byte in matcher.compute_bitmask() for bit in range(8)]).bool()
        allowed = torch.zeros(len(row), dtype=torch.bool)
        width = min(len(bits), len(row))
        allowed[:width] = bits[:width]
        rows.append(row.masked_fill(~allowed, float("-inf")))
        assert matcher.consume_token(token)
    return torch.stack(rows)


def test_they_are_those_of_a_forward_pass_in_a_batch_of_unequal_prompts(qwen, bodies):
    tickets = answer(
        qwen,
        asked(bodies, bodies.picture()),
        asked(bodies, "Hello", max_tokens=5),
        asked(bodies, "Прочитай номер документа на этой странице"),
    )
    for ticket in tickets:
        ids, _, logprobs = told(ticket)
        assert logprobs == pytest.approx(reference(qwen, ticket, ids), abs=1e-4)


def test_held_to_a_schema_they_are_those_among_what_it_allows(qwen, bodies):
    """As vLLM's, which masks the logits before it takes its raw log-probabilities."""
    tickets = answer(qwen, asked(bodies, "Hello", response_format=HELD, max_tokens=60), asked(bodies, "Hello"))
    ids, texts, logprobs = told(tickets[0])
    assert json.loads("".join(texts))["n"] in (7, "Псков")
    assert logprobs == pytest.approx(reference(qwen, tickets[0], ids, schema=SCHEMA), abs=1e-4)
    free, _, of_free = told(tickets[1])
    assert of_free == pytest.approx(reference(qwen, tickets[1], free), abs=1e-4)


def test_neither_temperature_nor_penalty_is_in_them_and_the_answers_are_the_same(qwen, bodies):
    values = {"repetition_penalty": 1.3, "max_tokens": 20}
    contents = [bodies.picture(), "Hello"]  # of unequal lengths: one is padded, and padding is not repeated
    tickets = answer(qwen, *(asked(bodies, content, **values) for content in contents))
    without = answer(qwen, *(bodies.request(content, return_token_ids=True, **values) for content in contents))
    for ticket, other in zip(tickets, without, strict=True):
        ids, _, logprobs = told(ticket)
        assert ticket.text == other.text
        assert ids == [token for delta in other.events[:-1] for token in delta.token_ids]
        assert logprobs == pytest.approx(reference(qwen, ticket, ids), abs=1e-4)
        assert not any(delta.logprobs for delta in other.events[:-1])
    (sampled,) = answer(qwen, asked(bodies, "Hello", temperature=3.0, seed=1, max_tokens=20))
    ids, _, logprobs = told(sampled)
    assert logprobs == pytest.approx(reference(qwen, sampled, ids), abs=1e-4)


def test_the_texts_of_the_tokens_are_the_text(server, bodies):
    chunks = server.stream(bodies.picture(), logprobs=True, max_tokens=30)
    tokens = [token for chunk in chunks for choice in chunk["choices"] for token in choice["logprobs"]["content"]]
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert text
    assert "".join(token["token"] for token in tokens) == text
    assert b"".join(bytes(token["bytes"]) for token in tokens) == text.encode()
    assert all(token["logprob"] <= 0 and math.isfinite(token["logprob"]) for token in tokens)
    _, whole = server.ask(bodies.picture(), logprobs=True, max_tokens=30)
    again = whole["choices"][0]["logprobs"]["content"]
    assert [token["token"] for token in again] == [token["token"] for token in tokens]
    _, plain = server.ask(bodies.picture(), max_tokens=30)
    assert "logprobs" not in plain["choices"][0]


def test_only_the_chosen_token_is_told(server):
    status, body = server.ask("Hello", logprobs=True, top_logprobs=5)
    assert status == 400
    assert "top_logprobs" in body["error"]["message"]
    status, _ = server.ask("Hello", logprobs=True, top_logprobs=0)
    assert status == 200
