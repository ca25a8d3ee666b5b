"""An OpenAI endpoint that misbehaves on demand: the first part of its path names what it does.

async with ScriptedEndpoint() as scripted:
    endpoint = scripted.endpoint("half_stream")
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from backends.api import Endpoint

DONE = b"data: [DONE]\n\n"
HEARD = web.AppKey("heard", asyncio.Event)
KEY = "sk-canary-0123456789"


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Return one event with a piece of an answer; `more` goes into the choice."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **more}
    return event({"model": "scripted-1", "choices": [choice]})


def event(content: object) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def usage() -> bytes:
    """Return the last chunk as our HF server sends it."""
    counts = {"prompt_tokens": 61, "completion_tokens": 2, "prompt_tokens_details": {"image_tokens": 48}}
    timing = {"queue_s": 0.001, "prepare_s": 0.001, "prefill_s": 0.02, "decode_s": 0.03}
    return event({"choices": [], "usage": counts, "timing": timing, "images": [{"width": 336, "height": 112}]})


GOOD = chunk("Пет", token_ids=[5]) + chunk("ров", token_ids=[6, 7]) + chunk(finish="stop") + usage() + DONE


class ScriptedEndpoint:
    """The server; `bodies` and `headers` hold what was asked."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections: set[Any] = set()
        self.heard = asyncio.Event()  # when it is set, `exhausted` sends its answer behind its headers
        app = web.Application(client_max_size=2**28)
        app[HEARD] = self.heard
        app.router.add_post("/{scenario}/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> ScriptedEndpoint:
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        self.port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def endpoint(self, scenario: str = "good", **more: Any) -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{self.port}/{scenario}/v1", "scripted", api_key=KEY, **more)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(json.loads(await request.read()))
        self.headers.append(dict(request.headers))
        self.connections.add(request.transport)
        scenario = request.match_info["scenario"]
        if scenario in STREAMS:
            return await stream(request, STREAMS[scenario])
        if scenario.startswith("status_"):
            return REFUSALS[scenario]()
        return await SPECIAL[scenario](request)


async def open_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    return response


async def stream(request: web.Request, content: bytes) -> web.StreamResponse:
    response = await open_stream(request)
    await response.write(content)
    await response.write_eof()
    return response


async def bytewise(request: web.Request) -> web.StreamResponse:
    """Send a good answer with CRLF, comments and split data lines, a byte at a time."""
    response = await open_stream(request)
    split = b'\xef\xbb\xbf: ping\r\nevent: message\r\ndata: {"choices": [{"delta":\r\ndata: {"content": "<"}}]}\r\n\r\n'
    for byte in split + GOOD.replace(b"\n", b"\r\n"):
        await response.write(bytes([byte]))
    await response.write_eof()
    return response


async def hang_up(request: web.Request) -> web.StreamResponse:
    response = await open_stream(request)
    await response.write(chunk("Пет"))
    await asyncio.sleep(0.02)
    assert request.transport is not None
    request.transport.abort()
    return response


async def slow(request: web.Request) -> web.StreamResponse:
    response = await open_stream(request)
    await response.write(chunk("Пет"))
    await asyncio.sleep(20)
    return response


async def exhausted(request: web.Request) -> web.StreamResponse:
    """Say in the headers that no request is left, and send the answer only when the client has read them."""
    left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6s250ms"}
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **left})
    await response.prepare(request)
    await request.app[HEARD].wait()
    await response.write(GOOD)
    await response.write_eof()
    return response


async def thinking(request: web.Request) -> web.StreamResponse:
    """Say nothing at first, then think, wait, answer, and linger behind [DONE]."""
    response = await open_stream(request)
    await response.write(chunk("") + event({"choices": [{"delta": {"reasoning_content": "hm"}}]}))
    await asyncio.sleep(0.2)
    await response.write(event({"choices": [{"delta": {"reasoning": "m"}}]}) + chunk("42", finish="length") + DONE)
    await asyncio.sleep(0.3)
    await response.write_eof()
    return response


async def endless_line(request: web.Request) -> web.StreamResponse:
    response = await open_stream(request)
    for _ in range(20):
        await response.write(b"x" * 1_000_000)
    return response


async def huge_answer(request: web.Request) -> web.StreamResponse:
    response = await open_stream(request)
    piece = chunk("x" * 1_000_000)
    for _ in range(12):
        await response.write(piece)
    return response


async def repeat_the_key(request: web.Request) -> web.StreamResponse:
    words = f"Incorrect API key provided: {request.headers['Authorization']}"
    return web.json_response({"error": {"message": words, "code": "invalid_api_key"}}, status=401)


async def late_usage(request: web.Request) -> web.StreamResponse:
    """Send the account, and [DONE], some time after the answer."""
    response = await open_stream(request)
    await response.write(chunk("Пет") + chunk("ров") + chunk(finish="stop"))
    await asyncio.sleep(0.02)
    await response.write(usage())
    await asyncio.sleep(0.02)
    await response.write(DONE)
    await response.write_eof()
    return response


async def whole_reply(_: web.Request) -> web.StreamResponse:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Петров"}, "finish_reason": "stop"}
    counts = {"prompt_tokens": 61, "completion_tokens": 2}
    return web.json_response({"model": "scripted-1", "object": "chat.completion", "choices": [choice], "usage": counts})


async def whole_reply_without_a_name(_: web.Request) -> web.StreamResponse:
    text = json.dumps({"choices": [{"message": {"content": "Петров"}, "finish_reason": "stop"}]})
    return web.Response(text=text, content_type="text/event-stream")


async def stream_of_another_name(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\n" + GOOD, content_type="text/plain")


async def error_of_words(_: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "quota exceeded"})


async def loading(_: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "the model is loading", "type": "server_error", "code": 503}})


async def other_json(_: web.Request) -> web.StreamResponse:
    return web.json_response({"hello": "world"})


async def reasoning_model(request: web.Request) -> web.StreamResponse:
    """Refuse what OpenAI's reasoning models refuse, in their words."""
    body = json.loads(await request.read())
    for name, words in (
        ("max_tokens", "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        ("temperature", "'temperature' does not support 0.0 with this model. Only the default (1) value is supported."),
    ):
        if name in body:
            return web.json_response(
                {"error": {"message": f"Unsupported parameter: {words}", "param": name}}, status=400
            )
    return await stream(request, GOOD)


async def web_page(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Welcome to the portal</html>", content_type="text/html")


async def refusal_with_200(_: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"message": "slow down", "type": "rate_limit_exceeded"}})


def refusal(status: int, body: object, **headers: str) -> Callable[[], web.Response]:
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda: web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})


SPECIAL: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    function.__name__: function
    for function in (
        *(bytewise, hang_up, slow, thinking, endless_line, huge_answer, repeat_the_key, web_page, refusal_with_200),
        *(late_usage, whole_reply, whole_reply_without_a_name, stream_of_another_name, error_of_words, loading),
        *(other_json, reasoning_model, exhausted),
    )
}

STREAMS = {
    "good": GOOD,
    "no_done": GOOD.replace(DONE, b""),
    "no_blank_line_at_the_end": GOOD.removesuffix(b"\n\n"),
    "only_cr": GOOD.replace(b"\n", b"\r"),
    "empty_answer": chunk(finish="stop") + DONE,
    "half_stream": chunk("Пет"),
    "nothing": b"",
    "no_choices": usage() + DONE,
    "invalid_utf8": b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n' + DONE,
    "invalid_json": b'data: {"choices": [\n\n' + DONE,
    "not_a_chunk": b'data: {"choices": [17]}\n\n' + DONE,
    "a_list": b"data: [1, 2]\n\n" + DONE,
    "content_is_a_number": event({"choices": [{"delta": {"content": 17}}]}) + DONE,
    "nested": b"data: " + b"[" * 200_000 + b"\n\n" + DONE,
    "split_emoji": b'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}\n\n'
    b'data: {"choices": [{"delta": {"content": "\\ude00\\ud800"}, "finish_reason": "stop"}]}\n\n' + DONE,
    "odd_account": chunk("x", finish="stop")
    + event({"choices": [], "usage": {"prompt_tokens": "many", "prompt_tokens_details": 3}, "images": {"a": 1}})
    + DONE,
    "error_in_stream": chunk("Пет") + event({"error": {"message": "CUDA out of memory", "code": "out_of_memory"}}),
    "aborted": chunk("Пет", finish="abort") + DONE,
}

REFUSALS = {
    "status_400": refusal(400, {"error": {"message": "top_k: must be positive"}}),
    "status_400_flat": refusal(400, {"object": "error", "message": "bad image", "code": 400}),
    "status_400_context": refusal(400, {"error": {"message": "too long", "code": "context_length_exceeded"}}),
    "status_400_vllm": refusal(400, {"message": "This model's maximum context length is 4096 tokens"}),
    "status_400_memory": refusal(400, {"error": {"message": "CUDA out of memory. Tried to allocate"}}),
    # Gemini, Amazon, RFC 9457 and a gateway in front of a server that is down.
    "status_400_list": refusal(
        400, [{"error": {"code": 400, "message": "Unknown name", "status": "INVALID_ARGUMENT"}}]
    ),
    "status_400_amazon": refusal(400, {"__type": "ValidationException", "Message": "Malformed input"}),
    "status_400_problem": refusal(400, {"type": "about:blank", "title": "Bad Request", "detail": "no such field"}),
    "status_400_param": refusal(400, {"error": {"message": "Invalid value", "param": "temperature"}}),
    "status_400_text": refusal(400, '"just words"'),
    "status_502": refusal(502, "<html><head><title>502 Bad &amp; Gateway</title></head><body>nginx</body></html>"),
    "status_529": refusal(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "status_429_google": refusal(429, {"error": {"message": "quota", "details": [{"retryDelay": "17s"}]}}),
    "status_429_ms": refusal(429, {"error": {"message": "slow"}}, Retry_After="1", retry_after_ms="250"),
    "status_429_credit": refusal(429, {"error": {"message": "You exceeded it", "code": "insufficient_quota"}}),
    "status_402": refusal(402, {"error": {"message": "Insufficient Balance"}}),
    "status_404": refusal(404, "404: Not Found"),
    "status_413": refusal(413, "Request Entity Too Large"),
    "status_422": refusal(422, {"detail": [{"loc": ["body", "seed"], "msg": "not an int"}]}),
    "status_403": refusal(403, {"error": "no"}),
    "status_429": refusal(429, {"error": {"message": "slow down"}}, Retry_After="7"),
    "status_429_date": refusal(429, "", Retry_After="Wed, 21 Oct 2099 07:28:00 GMT"),
    "status_500": refusal(500, "<html>oops"),
    "status_503": refusal(503, {"error": {"message": "busy"}}, Retry_After="1.5"),
    "status_503_bare": refusal(503, {"error": {"message": "the model is loading"}}),
    "status_503_openai": refusal(503, {"error": {"message": "Slow Down", "type": "server_error"}}),
    "status_503_gemini": refusal(503, {"error": {"message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
    "status_503_reset": refusal(
        503, {"error": {"type": "overloaded"}}, x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="1m2.5s"
    ),
    "status_529_bare": refusal(529, ""),
    "status_429_past": refusal(
        429, "", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT", Date="Wed, 21 Oct 2015 07:30:00 GMT"
    ),
    "status_429_skewed": refusal(
        429, "", Retry_After="Wed, 21 Oct 2015 07:28:09 GMT", Date="Wed, 21 Oct 2015 07:28:00 GMT"
    ),
    "status_500_memory": refusal(500, {"error": {"message": "x", "code": "out_of_memory"}}),
    "status_302": refusal(302, "", Location="https://elsewhere.example/v1"),
}
