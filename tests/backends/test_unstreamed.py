"""Endpoints that answer in one piece: some ignore `stream`, some refuse it."""

from __future__ import annotations

import asyncio

import pytest

from backends import wire
from backends.api import Endpoint, Failure, Generation, GenerationRequest, Message, TextPart
from backends.client import Client
from backends.failures import refuses_streams
from tests.runner.scoring.judging.scripted_judge import COMPLETION_TOKENS, Reply, ScriptedJudge


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


def _ask(script, number: int, **endpoint) -> tuple[list[Generation], list[dict]]:
    """Ask one endpoint several questions at once."""

    async def ask(url: str):
        questions = [GenerationRequest(str(one), (Message("user", (TextPart("?"),)),)) for one in range(number)]
        async with Client(Endpoint(url, "m", **endpoint), max_connections=number) as client:
            return await asyncio.gather(*map(client.ask, questions))

    with ScriptedJudge(script) as judge:
        return asyncio.run(ask(judge.url)), judge.bodies


def test_each_of_several_requests_at_once_is_asked_again_without_a_stream():
    def script(body, _number):
        refusal = Reply(status=400, words="Streaming is not supported for this model")
        return refusal if body["stream"] else Reply("Петров", stream=False)

    answers, _ = _ask(script, 8)
    assert [(one.error, one.text) for one in answers] == [(None, "Петров")] * 8


def test_a_setting_that_is_left_out_or_renamed_stays_so_without_a_stream():
    def script(body, _number):
        return Reply(status=400, words="stream is not allowed") if body["stream"] else Reply("Петров", stream=False)

    for changed in ({"omit": ("stream_options",)}, {"rename": {"stream_options": "options", "max_tokens": "most"}}):
        (answer,), bodies = _ask(script, 1, **changed)
        assert answer.text == "Петров" and [body["stream"] for body in bodies] == [True, False]
        assert "stream_options" not in bodies[1] and "options" not in bodies[1]
        assert {name: value for name, value in bodies[0].items() if name not in ("stream", "options")} == {
            name: value for name, value in bodies[1].items() if name != "stream"
        }


def test_one_bad_picture_does_not_end_streaming_for_all_others():
    """Pillow's words for a broken picture speak of its data stream; unsupported ones speak of support."""
    words = "broken data stream when reading image file: unsupported image"

    def script(_body, number):
        return Reply(status=400, words=words) if number < 2 else Reply("Петров")

    async def ask(url: str):
        async with Client(Endpoint(url, "m")) as client:
            return [await client.ask(GenerationRequest(key, (Message("user", (TextPart("?"),)),))) for key in "ab"]

    with ScriptedJudge(script) as judge:
        bad, good = asyncio.run(ask(judge.url))
    assert bad.error is not None and words in bad.error.message
    assert (good.text, good.timing.ttft_s is not None) == ("Петров", True)
    assert [body["stream"] for body in judge.bodies] == [True, False, True]


@pytest.mark.parametrize(
    ("kind", "words", "refused"),
    [
        ("bad_request", "HTTP 400: Streaming is not supported for this model", True),
        ("bad_request", "HTTP 422: body.stream: Extra inputs are not permitted", True),
        ("bad_request", "HTTP 400: Unsupported value: 'stream' does not support true", True),
        ("bad_request", "HTTP 400: Your organization must be verified to stream this model. Please go to: https", True),
        ("server_error", "HTTP 501: stream=true is not implemented", True),
        ("bad_request", "HTTP 400: unknown field stream_options", False),
        ("bad_request", "HTTP 400: temperature is not supported", False),
        ("server_error", "HTTP 500: the stream was closed: not available", False),
        ("rate_limited", "HTTP 429: too many streams, not allowed", False),
    ],
)
def test_what_refuses_a_stream(kind, words: str, refused: bool):
    assert refuses_streams(Failure(kind, words)) is refused


def test_an_endpoint_that_can_not_stream_is_not_asked_to():
    (answer,), bodies = _ask(lambda _body, _number: Reply("Петров", stream=False), 1, stream=False)
    assert (answer.text, answer.timing.ttft_s, answer.timing.tokens_after_first) == ("Петров", None, None)
    assert [body["stream"] for body in bodies] == [False] and "stream_options" not in bodies[0]


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("Unrecognized request argument supplied: stream_options", "What helps: ++model.request.stream_options=null"),
        (
            "'temperature' does not support 0.0 with this model. Only the default is supported.",
            "What helps: ++model.request.temperature=null",
        ),
        # To leave it out would lift the limit, or take another value than was asked for.
        ("max_tokens is too large: 4000. This model supports at most 2000 completion tokens",
         "It is set by sampling.max_tokens"),
        ("Invalid 'temperature': decimal above maximum value. Expected a value <= 1",
         "It is set by sampling.temperature"),
        # Anthropic's words; one of them is enough.
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
         "What helps: ++model.request.top_p=null"),
        ("Unsupported value: 'reasoning_effort' does not support 'minimal' with this model.",
         "What helps: ++model.request.reasoning_effort=null"),
        ('Unknown name "seed": Cannot find field. (param: seed)', "What helps: ++model.request.seed=null"),
        ("the picture is not supported", ""),
    ],
)  # fmt: skip
def test_a_setting_is_left_out_where_it_is_refused_and_not_where_its_value_is(words: str, remedy: str):
    failure = Failure("bad_request", words)
    endpoint = Endpoint("http://127.0.0.1/v1", "m", dialect="openai", extra={"reasoning_effort": "minimal"})
    told = wire.with_remedy(failure, 400, endpoint).message
    assert told == (f"{words.rstrip('.')}. {remedy}" if remedy else words)


@pytest.mark.parametrize("words", ["Unsupported parameter: use 'max_tokens'; 'max_completion_tokens' is unknown",
                                   "unexpected keyword argument 'max_completion_tokens'"])  # fmt: skip
def test_an_endpoint_that_wants_the_old_name_of_the_limit_is_told_of_that(words: str):
    renamed = Endpoint("http://127.0.0.1/v1", "m", dialect="openai", rename={"max_tokens": "max_completion_tokens"})
    told = wire.with_remedy(Failure("bad_request", words), 400, renamed)
    assert told.message.endswith("What helps: ++model.request.max_tokens=max_tokens")


@pytest.mark.parametrize(
    ("words", "omit", "limit"),
    [
        ("Unsupported parameter: 'temperature' is not supported with this model", ("temperature",), None),
        ("{'loc': ['body', 'seed']}, {'loc': ['body', 'stream_options']}: extra", ("stream_options", "seed"), None),
        ("Use 'max_completion_tokens' instead", (), "max_completion_tokens"),
        ("Unrecognized request argument supplied: max_tokens", (), "max_completion_tokens"),
    ],
)  # fmt: skip
def test_what_is_sent_otherwise_to_an_endpoint_that_refuses_it(words: str, omit: tuple[str, ...], limit: str | None):
    endpoint = Endpoint("http://127.0.0.1/v1", "m", dialect="openai", adapt=True)
    changed = wire.adapted(Failure("bad_request", words), 400, endpoint)
    assert changed is not None and changed.omit == omit and changed.rename.get("max_tokens") == limit


@pytest.mark.parametrize(
    "words",
    [
        "response_format is not supported",  # without a schema or a stop text it would be another question
        "Unsupported parameter: 'stop'",
        "max_tokens is too large: this model supports at most 2000",
        "temperature must be greater than 0: not supported",
        "the picture is not supported",
        "Unknown name reasoning_effort",  # asked for on purpose
    ],
)
def test_what_is_not_sent_otherwise(words: str):
    endpoint = Endpoint("http://x/v1", "m", dialect="openai", adapt=True, extra={"reasoning_effort": "low"})
    assert wire.adapted(Failure("bad_request", words), 400, endpoint) is None
    allowed = Failure("bad_request", "'temperature' is not supported")
    assert wire.adapted(allowed, 404, endpoint) is None
    assert wire.adapted(allowed, 400, Endpoint("http://x/v1", "m", dialect="openai")) is None, "only where it may"


def test_an_endpoint_that_refuses_both_names_of_the_limit_is_not_asked_for_ever():
    def script(body, _number):
        return Reply(
            status=400, words=f"unknown field {'max_tokens' if 'max_tokens' in body else 'max_completion_tokens'}"
        )

    (answer,), bodies = _ask(script, 1, dialect="openai", adapt=True)
    assert answer.error is not None and "++model.request.max_tokens=" in answer.error.message
    assert len(bodies) == 2
