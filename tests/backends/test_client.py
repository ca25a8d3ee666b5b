from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import socket
import time

import pytest
from scripted_endpoint import KEY, REFUSALS, ScriptedEndpoint

from backends import wire
from backends.api import (
    Endpoint,
    Generation,
    GenerationRequest,
    ImagePart,
    Message,
    Pixels,
    Sampling,
    TextPart,
    VideoPart,
)
from backends.client import Client, _Clock
from backends.stream import Answer

PLAIN = GenerationRequest("plain", (Message("user", (TextPart("Кто?"),)),))


def ask(scenario: str, request: GenerationRequest = PLAIN, timeout_s: float = 100, **endpoint: object) -> Generation:
    return ask_and_look(scenario, request, timeout_s, **endpoint)[0]


def ask_and_look(
    scenario: str, request: GenerationRequest = PLAIN, timeout_s: float = 100, **endpoint: object
) -> tuple[Generation, ScriptedEndpoint]:
    async def run() -> tuple[Generation, ScriptedEndpoint]:
        async with (
            ScriptedEndpoint() as scripted,
            Client(scripted.endpoint(scenario, **endpoint), timeout_s=timeout_s) as client,
        ):
            return await client.ask(request), scripted

    return asyncio.run(run())


def test_a_good_answer_with_everything_the_hf_server_says() -> None:
    before = time.time()
    generation = ask("good")
    assert generation.text == "Петров"
    assert generation.error is None
    assert (generation.finish_reason, generation.served_model) == ("stop", "scripted-1")
    assert (generation.prompt_tokens, generation.completion_tokens, generation.image_tokens) == (61, 2, 48)
    assert generation.token_ids == (5, 6, 7)
    assert generation.image_sizes == ((336, 112),)
    timing = generation.timing
    assert timing is not None and timing.ttft_s is not None
    assert before <= timing.sent_at <= time.time()
    assert 0 < timing.ttft_s <= timing.latency_s
    assert (timing.queue_s, timing.prefill_s, timing.decode_s) == (0.001, 0.02, 0.03)
    assert (generation.attempts, generation.reasoning) == (1, None)


@pytest.mark.parametrize(
    ("scenario", "text"),
    [
        ("bytewise", "<Петров"),
        ("no_done", "Петров"),
        ("no_blank_line_at_the_end", "Петров"),
        ("only_cr", "Петров"),
        ("empty_answer", ""),
        ("split_emoji", "😀\ufffd"),
        ("odd_account", "x"),
        ("whole_reply", "Петров"),
        ("whole_reply_without_a_name", "Петров"),
        ("stream_of_another_name", "Петров"),
    ],
)
def test_odd_streams_that_hold_an_answer(scenario: str, text: str) -> None:
    generation = ask(scenario)
    assert generation.error is None
    assert generation.text == text


@pytest.mark.parametrize(
    ("scenario", "kind", "retryable", "words"),
    [
        ("half_stream", "connection", True, "half-way, 3 characters"),
        ("nothing", "connection", True, "half-way, nothing"),
        ("hang_up", "connection", True, "hung up"),
        ("no_choices", "bad_response", False, "no choices"),
        ("invalid_utf8", "bad_response", False, "not valid UTF-8"),
        ("invalid_json", "bad_response", False, "not JSON"),
        ("not_a_chunk", "bad_response", False, "no chat completion"),
        ("a_list", "bad_response", False, "no chat completion"),
        ("content_is_a_number", "bad_response", False, "no chat completion"),
        ("nested", "bad_response", False, "nested"),
        ("endless_line", "bad_response", False, "exceeds 10 MB"),
        ("huge_answer", "bad_response", False, "exceeds 10 MB"),
        ("error_in_stream", "out_of_memory", False, "CUDA out of memory"),
        ("aborted", "server_error", True, "abort"),
        ("web_page", "bad_response", False, "text/html: <html>Welcome"),
        ("refusal_with_200", "rate_limited", True, "slow down"),
        ("error_of_words", "server_error", True, "quota exceeded"),
        ("loading", "server_error", True, "the model is loading"),
        ("other_json", "bad_response", False, "hello"),
        ("status_400", "bad_request", False, "top_k: must be positive"),
        ("status_400_flat", "bad_request", False, "bad image"),
        ("status_400_context", "context_too_long", False, "too long"),
        ("status_400_vllm", "context_too_long", False, "4096"),
        ("status_400_memory", "out_of_memory", False, "Tried to allocate"),
        ("status_400_list", "bad_request", False, "HTTP 400: Unknown name"),
        ("status_400_amazon", "bad_request", False, "HTTP 400: Malformed input"),
        ("status_400_problem", "bad_request", False, "HTTP 400: no such field"),
        ("status_400_param", "bad_request", False, "Invalid value (param: temperature)"),
        ("status_400_text", "bad_request", False, "HTTP 400: just words"),
        ("status_502", "server_error", True, "HTTP 502: a web page with the title '502 Bad & Gateway'"),
        ("status_529", "rate_limited", True, "HTTP 529: Overloaded"),
        ("status_529_bare", "server_error", True, "HTTP 529"),
        ("status_429_past", "rate_limited", True, "HTTP 429"),
        ("status_429_skewed", "rate_limited", True, "HTTP 429"),
        ("status_429_google", "rate_limited", True, "quota"),
        ("status_429_ms", "rate_limited", True, "slow"),
        ("status_429_credit", "unauthorised", False, "no credit left"),
        ("status_402", "unauthorised", False, "no credit left"),
        ("status_404", "bad_request", False, "404: Not Found"),
        ("status_413", "bad_request", False, "Too Large"),
        ("status_422", "bad_request", False, "not an int"),
        ("status_403", "unauthorised", False, "API key"),
        ("status_429", "rate_limited", True, "slow down"),
        ("status_429_date", "rate_limited", True, "no explanation"),
        ("status_500", "server_error", True, "<html>oops"),
        ("status_503", "rate_limited", True, "busy"),
        ("status_503_bare", "server_error", True, "loading"),
        ("status_503_openai", "rate_limited", True, "Slow Down"),
        ("status_503_gemini", "rate_limited", True, "overloaded"),
        ("status_503_reset", "rate_limited", True, "overloaded"),
        ("status_500_memory", "out_of_memory", False, "x"),
        ("status_302", "bad_response", False, "elsewhere.example"),
    ],
)
def test_every_misbehaviour_is_a_failure_of_its_kind(scenario: str, kind: str, retryable: bool, words: str) -> None:
    generation = ask(scenario)
    assert generation.text is None
    assert generation.error is not None
    assert (generation.error.kind, generation.error.retryable) == (kind, retryable)
    assert words in generation.error.message
    assert generation.timing is not None and generation.timing.latency_s > 0


def test_all_refusals_are_tested() -> None:
    marks = test_every_misbehaviour_is_a_failure_of_its_kind.pytestmark  # type: ignore[attr-defined]
    assert set(REFUSALS) <= {row[0] for row in marks[0].args[1]}


@pytest.mark.parametrize(
    ("scenario", "low", "high"),
    [
        ("status_429", 7, 7),
        ("status_503", 1.5, 1.5),
        ("status_429_google", 17, 17),
        ("status_429_ms", 0.25, 0.25),
        ("status_503_reset", 62.5, 62.5),
        ("status_429_past", 0, 0),
        ("status_429_skewed", 9, 9),  # by the clock of the endpoint, which is years behind ours
    ],
)
def test_retry_after_in_seconds(scenario: str, low: float, high: float) -> None:
    error = ask(scenario).error
    assert error is not None and error.retry_after_s is not None
    assert low <= error.retry_after_s <= high


def test_retry_after_as_a_date() -> None:
    error = ask("status_429_date").error
    assert error is not None and error.retry_after_s is not None
    assert error.retry_after_s > 1e8


def test_headers_that_say_that_nothing_is_left_are_told_of_before_the_answer_comes() -> None:
    told: list[float] = []

    async def run() -> Generation:
        async with ScriptedEndpoint() as scripted:

            def heard(seconds: float) -> None:
                told.append(seconds)
                scripted.heard.set()  # without which the endpoint sends no text

            async with Client(scripted.endpoint("exhausted"), on_exhausted=heard, timeout_s=60) as client:
                return await client.ask(PLAIN)

    assert asyncio.run(run()).text == "Петров"
    assert told == [6.25]


def test_a_slow_answer_times_out_as_a_whole() -> None:
    generation = ask("slow", timeout_s=0.3)
    assert generation.error is not None
    assert (generation.error.kind, generation.error.retryable) == ("timeout", True)
    assert generation.timing is not None
    assert generation.timing.latency_s > 0.25
    assert generation.timing.ttft_s is not None  # the first word did come


def test_thinking_is_kept_apart_and_ends_with_done() -> None:
    generation = ask("thinking")
    assert (generation.text, generation.reasoning, generation.finish_reason) == ("42", "hmm", "length")
    assert generation.timing is not None and generation.timing.ttft_s is not None
    # The first thought, and the answer 0.2 s behind it; the wait behind [DONE] is not the answer's.
    assert generation.timing.ttft_s < generation.timing.latency_s


def test_latency_ends_with_the_answer_and_what_comes_behind_is_kept_apart() -> None:
    generation = ask("late_usage")
    timing = generation.timing
    assert timing is not None and timing.ttft_s is not None and timing.tail_s is not None
    assert timing.ttft_s <= timing.latency_s and timing.tail_s > 0
    assert generation.completion_tokens == 2
    answer, clock = Answer(), _Clock(sent_at=0.0, started=100.0, ended=106.0)
    answer.first_text_at, answer.last_choice_at = 101.0, 103.0
    told = clock.timing(answer, whole=True)
    assert (told.ttft_s, told.latency_s, told.tail_s) == (1.0, 3.0, 3.0)
    failed = clock.timing(answer, whole=False)
    assert (failed.latency_s, failed.tail_s) == (6.0, 0.0)  # a failure took as long as we waited for it


def test_a_reply_that_was_not_streamed_has_no_time_to_its_first_token() -> None:
    generation = ask("whole_reply")
    assert generation.timing is not None
    assert (generation.timing.ttft_s, generation.timing.tokens_after_first) == (None, None)
    assert (generation.finish_reason, generation.completion_tokens, generation.served_model) == (
        "stop",
        2,
        "scripted-1",
    )
    assert generation.remarks == ("not_streamed",)


def test_settings_that_an_endpoint_refuses_are_left_out_or_renamed_and_the_refusal_names_the_key() -> None:
    first = ask("reasoning_model", dialect="openai").error
    assert first is not None and "What helps: ++model.request.max_tokens=max_completion_tokens" in first.message
    renamed = {"max_tokens": "max_completion_tokens"}
    second = ask("reasoning_model", dialect="openai", rename=renamed).error
    assert second is not None and "What helps: ++model.request.temperature=null" in second.message
    generation, scripted = ask_and_look(
        "reasoning_model",
        dialect="openai",
        rename=renamed,
        omit=("temperature", "stream_options"),
        extra={"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}},
    )
    assert generation.text == "Петров"
    sent = scripted.bodies[0]
    assert sent["max_completion_tokens"] == 128
    assert not {"max_tokens", "temperature", "stream_options"} & sent.keys()
    assert (sent["reasoning_effort"], sent["chat_template_kwargs"]) == ("low", {"enable_thinking": False})
    local = ask("reasoning_model").error
    assert local is not None and "model.request" not in local.message  # our own engines take everything


def test_an_endpoint_that_may_be_adapted_to_is_asked_in_the_form_that_it_takes() -> None:
    async def run() -> tuple[list[Generation], list[dict]]:
        async with (
            ScriptedEndpoint() as scripted,
            Client(scripted.endpoint("reasoning_model", dialect="openai", adapt=True)) as client,
        ):
            return [await client.ask(PLAIN) for _ in "ab"], scripted.bodies

    answers, bodies = asyncio.run(run())
    for one in answers:
        assert (one.text, one.error) == ("Петров", None)
        assert one.remarks == ("not_sent=temperature", "sent_as=max_tokens:max_completion_tokens")
    assert len(bodies) == 4, "two refusals, and then it is known"
    assert all("temperature" not in body and body["max_completion_tokens"] == 128 for body in bodies[2:])


def test_what_is_added_joins_what_is_sent_and_settings_of_engines_can_be_sent_to_an_endpoint() -> None:
    asked = dataclasses.replace(PLAIN, sampling=Sampling(top_k=20), pixels=Pixels(max_pixels=784))
    extra = {"mm_processor_kwargs": {"num_crops": 4, "max_pixels": 1}}
    body = json.loads(wire.body(asked, Endpoint("http://x/v1", "m", extra=extra)))
    assert body["mm_processor_kwargs"] == {"num_crops": 4, "max_pixels": 784}
    provider = Endpoint("http://x/v1", "m", dialect="openai", rename={"top_k": "topK"})
    assert wire.unsendable(asked, provider) == ("max_pixels",)
    body = json.loads(wire.body(asked, provider))
    assert body["topK"] == 20 and "repetition_penalty" not in body


def test_a_query_of_the_address_is_sent_behind_the_path() -> None:
    client = Client(Endpoint("https://x.example/openai/deployments/d?api-version=2024-10-21", "m"))
    assert str(client._url) == "https://x.example/openai/deployments/d/chat/completions?api-version=2024-10-21"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    async def run() -> Generation:
        async with Client(Endpoint(f"http://127.0.0.1:{port}/v1", "m")) as client:
            return await client.ask(PLAIN)

    error = asyncio.run(run()).error
    assert error is not None
    assert (error.kind, error.retryable) == ("connection", True)
    assert str(port) in error.message


def test_a_server_that_does_not_speak_http() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp ready\r\n")
        await writer.drain()
        writer.close()

    async def run() -> Generation:
        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with server, Client(Endpoint(url, "m")) as client:
            return await client.ask(PLAIN)

    error = asyncio.run(run()).error
    assert error is not None and error.kind in ("bad_response", "connection")


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    generation, scripted = ask_and_look("repeat_the_key", headers={"X-Team": "team-canary-987"})
    assert scripted.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert scripted.headers[0]["X-Team"] == "team-canary-987"
    assert generation.error is not None and generation.error.kind == "unauthorised"
    assert KEY not in repr(generation)
    assert "***" in generation.error.message
    assert KEY not in repr(scripted.endpoint())


def test_no_proxy_stands_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ask("good").text == "Петров"


def test_everything_that_decides_the_answer_is_sent() -> None:
    image = bytes(range(256)) * 10
    request = GenerationRequest(
        key="full",
        messages=(
            Message("system", (TextPart('Отвечай "кратко"'),)),
            Message("user", (ImagePart(image, "image/png"), TextPart("Кто?\n"), ImagePart(b"", "image/jpeg"))),
            Message("assistant", (TextPart("Я"), TextPart("!"))),
        ),
        sampling=Sampling(0.5, 0.9, 40, 1.1, 77, ("\n", "END"), 13),
        pixels=Pixels(3136, 100352),
        response_schema={"type": "object"},
    )
    generation, scripted = ask_and_look("good", request)
    assert generation.text == "Петров"
    assert scripted.bodies[0] == {
        "model": "scripted",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "repetition_penalty": 1.1,
        "max_tokens": 77,
        "stop": ["\n", "END"],
        "seed": 13,
        "return_token_ids": True,
        "mm_processor_kwargs": {"min_pixels": 3136, "max_pixels": 100352},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        },
        "messages": [
            {"role": "system", "content": 'Отвечай "кратко"'},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": picture("image/png", image)}},
                    {"type": "text", "text": "Кто?\n"},
                    {"type": "image_url", "image_url": {"url": picture("image/jpeg", b"")}},
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "Я"}, {"type": "text", "text": "!"}]},
        ],
    }


def picture(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def test_defaults_are_sent_too() -> None:
    _, scripted = ask_and_look("good")
    body = scripted.bodies[0]
    assert (body["temperature"], body["top_p"], body["top_k"], body["repetition_penalty"]) == (0.0, 1.0, -1, 1.0)
    assert (body["max_tokens"], body["stop"]) == (128, [])
    assert "seed" not in body and "mm_processor_kwargs" not in body and "response_format" not in body


def test_the_openai_dialect_sends_nothing_that_openai_refuses() -> None:
    generation, scripted = ask_and_look("good", dialect="openai")
    assert generation.text == "Петров"
    assert set(scripted.bodies[0]) == {
        *("model", "stream", "stream_options", "temperature", "top_p", "max_tokens", "messages"),
    }


def test_the_openai_dialect_refuses_what_it_would_have_to_drop() -> None:
    request = GenerationRequest("k", PLAIN.messages, Sampling(top_k=5), Pixels(max_pixels=10))
    generation, scripted = ask_and_look("good", request, dialect="openai")
    assert generation.error is not None and generation.error.kind == "bad_request"
    assert "top_k, max_pixels" in generation.error.message
    assert scripted.bodies == []


VIDEO = GenerationRequest("v", (Message("user", (VideoPart((b"one", b"two"), 0.5), TextPart("?"))),))


def test_a_video_is_sent_as_its_frames_and_their_rate() -> None:
    _, scripted = ask_and_look("good", VIDEO)
    body = scripted.bodies[0]
    assert body["media_io_kwargs"] == {"video": {"num_frames": -1, "fps": 0.5}}
    url = "data:video/jpeg;base64,b25l,dHdv"
    assert body["messages"][0]["content"][0] == {"type": "video_url", "video_url": {"url": url}}


def test_the_openai_dialect_takes_no_video() -> None:
    generation, scripted = ask_and_look("good", VIDEO, dialect="openai")
    assert generation.error is not None and "video can't be sent" in generation.error.message
    assert scripted.bodies == []


def test_a_body_above_a_megabyte_arrives_whole(recwarn: pytest.WarningsRecorder) -> None:
    data = bytes(range(256)) * 12_000
    request = GenerationRequest("big", (Message("user", (ImagePart(data, "image/png"), TextPart("?"))),))
    generation, scripted = ask_and_look("good", request)
    assert generation.text == "Петров"
    assert scripted.bodies[0]["messages"][0]["content"][0]["image_url"]["url"] == picture("image/png", data)
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


def test_connections_are_used_again_and_bounded() -> None:
    async def run() -> tuple[list[Generation], int]:
        async with ScriptedEndpoint() as scripted, Client(scripted.endpoint(), max_connections=3) as client:
            generations = [await client.ask(PLAIN) for _ in range(3)]
            generations += await asyncio.gather(*(client.ask(PLAIN) for _ in range(30)))
            return generations, len(scripted.connections)

    generations, connections = asyncio.run(run())
    assert {generation.text for generation in generations} == {"Петров"}
    assert 1 <= connections <= 3


@pytest.mark.parametrize("url", ["127.0.0.1:80/v1", "ftp://host/v1", "", "http://user:pass@host/v1"])
def test_an_address_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Client(Endpoint(url, "m"))


def test_a_closed_client_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        asyncio.run(Client(Endpoint("http://127.0.0.1:1/v1", "m")).ask(PLAIN))


def test_cancelling_is_not_swallowed() -> None:
    async def run() -> None:
        async with ScriptedEndpoint() as scripted, Client(scripted.endpoint("slow")) as client:
            task = asyncio.create_task(client.ask(PLAIN))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
