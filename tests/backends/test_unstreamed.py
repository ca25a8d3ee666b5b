"""Endpoints that answer in one piece: some ignore `stream`, some refuse it."""

from __future__ import annotations

import asyncio

import pytest

from backends.api import Endpoint, Failure, GenerationRequest, Message, TextPart
from backends.client import Client
from backends.failures import refuses_streams
from tests.runner.judging.scripted_judge import COMPLETION_TOKENS, Reply, ScriptedJudge


@pytest.mark.parametrize("refuses", [False, True])
def test_a_whole_reply_is_an_answer_without_a_time_to_its_first_token(refuses: bool):
    def script(body, _number):
        if refuses and body["stream"]:
            return Reply(status=422, words="stream: true is not allowed")
        return Reply("Петров", stream=False)

    async def ask(endpoint: Endpoint):
        # What stands in a question is no setting.
        question = GenerationRequest("k", (Message("user", (TextPart('Is "stream":true JSON?'),)),))
        async with Client(endpoint) as client:
            return [await client.ask(question) for _ in range(2)]

    with ScriptedJudge(script) as judge:
        answers = asyncio.run(ask(Endpoint(judge.url, 'a "stream":true model')))
    for one in answers:
        assert (one.error, one.text, one.finish_reason) == (None, "Петров", "stop")
        assert one.completion_tokens == COMPLETION_TOKENS and one.served_model == "scripted"
        assert one.timing.latency_s > 0 and one.timing.ttft_s is None
    assert [body["stream"] for body in judge.bodies] == ([True, False, False] if refuses else [True, True])
    for body in judge.bodies:
        assert ("stream_options" in body) == body["stream"]
        assert body["messages"][0]["content"] == 'Is "stream":true JSON?'


@pytest.mark.parametrize(
    ("kind", "words", "refused"),
    [
        ("bad_request", "HTTP 400: Streaming is not supported for this model", True),
        ("bad_request", "HTTP 422: body.stream: Extra inputs are not permitted", True),
        ("bad_request", "HTTP 400: Unsupported value: 'stream' does not support true", True),
        ("server_error", "HTTP 501: stream=true is not implemented", True),
        ("bad_request", "HTTP 400: unknown field stream_options", False),
        ("bad_request", "HTTP 400: temperature is not supported", False),
        ("server_error", "HTTP 500: the stream was closed: not available", False),
        ("rate_limited", "HTTP 429: too many streams, not allowed", False),
    ],
)
def test_what_refuses_a_stream(kind, words: str, refused: bool):
    assert refuses_streams(Failure(kind, words)) is refused
