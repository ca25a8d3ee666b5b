"""Requests that get no answer: each is told why, and the server goes on."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image


def broken_images():
    whole = io.BytesIO()
    Image.new("RGB", (64, 64)).save(whole, "PNG")
    bomb = io.BytesIO()
    Image.new("1", (20000, 10000)).save(bomb, "PNG")
    return {
        "no image": b"this is no image",
        "truncated": whole.getvalue()[:60],
        "empty": b"",
        "bomb": bomb.getvalue(),
    }


@pytest.mark.parametrize("kind", ["no image", "truncated", "empty", "bomb"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_image_is_named(server, bodies, kind, stream):
    parts = [bodies.image_part(bodies.png(56, 56)), bodies.image_part(broken_images()[kind])]
    status, body = server.ask(parts, stream=stream)
    assert (status, body["error"]["code"]) == (400, "bad_image")
    assert "image 2" in body["error"]["message"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stop": [1]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": [{"role": "pirate", "content": "x"}]}, "pirate"),
        ({"min_tokens": 3}, "min_tokens"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"mm_processor_kwargs": {"max_pixels": -5}}, "max_pixels"),
        ({"mm_processor_kwargs": {"fps": 2}}, "fps"),
        ({"mm_processor_kwargs": {"max_pixels": 100}}, "max_pixels"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "enable_thinking"),  # its template doesn't read it
        ({"chat_template_kwargs": {"tokenize": True}}, "tokenize"),
        ({"chat_template_kwargs": 3}, "chat_template_kwargs"),
    ],
)
def test_wrong_parameters_are_named(server, bodies, values, named):
    content = bodies.picture() if "mm_processor_kwargs" in values else "Hello"
    status, body = server.ask(content, **values)
    assert status == 400, body
    assert named in body["error"]["message"] and body["error"]["type"] == "invalid_request_error"


def test_another_models_name_is_not_found_as_openai_has_it(server):
    status, body = server.ask("Hello", model="gpt-4")
    error = body["error"]
    assert (status, error["code"], error["type"], error["param"]) == (
        404,
        "model_not_found",
        "invalid_request_error",
        "model",
    )
    assert "gpt-4" in error["message"]
    assert server.ask("Hello", model=None)[0] == 400  # none at all


def test_nothing_is_fetched_and_marks_in_the_text_are_no_images(server):
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}
    status, body = server.ask([part])
    assert status == 400 and "nothing is fetched" in body["error"]["message"]
    status, body = server.ask("How many <|image_pad|> are here?")
    assert status == 400, body


def test_bodies_that_are_no_requests(server):
    for body in (b"{", b"[]", b"\xff", b"null"):
        assert server.call("POST", "/v1/chat/completions", body)[0] == 400
    assert server.call("GET", "/v1/nothing")[0] == 404


def test_too_long_for_the_context(server):
    status, body = server.ask("word " * 500)
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
    assert "2048" in body["error"]["message"]
    assert server.ask("Short", max_tokens=2040)[1]["error"]["code"] == "context_length_exceeded"


def test_base64_that_is_broken(server):
    url = "data:image/png;base64," + base64.b64encode(b"abc").decode()[:-2] + "*"
    status, body = server.ask([{"type": "image_url", "image_url": {"url": url}}])
    assert (status, body["error"]["code"]) == (400, "bad_image")
