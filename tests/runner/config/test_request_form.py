"""`model.request`: what is renamed, left out and added, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from runner.base import paths
from runner.base.errors import Refused
from runner.config.request_form import RequestForm, request_form

OF_OPENAI = yaml.safe_load((paths.conf_dir() / "model" / "openai.yaml").read_text())["model"]["request_by_name"]
REASONING = {"omit": ["temperature", "top_p"], "rename": {"max_tokens": "max_completion_tokens"}}


def form(
    name: str = "x", request: dict[str, Any] | None = None, dialect: str = "openai", **backend: Any
) -> RequestForm:
    model = {"name": name, "request": request or {}, "request_by_name": OF_OPENAI}
    return request_form({"model": model, "backend": {"dialect": dialect, **backend}})


def test_gpt_5_5_takes_a_temperature_where_it_does_not_think():
    model = yaml.safe_load((paths.conf_dir() / "model" / "gpt_5_5.yaml").read_text())["model"]
    given = {"model": model, "backend": {"dialect": "openai"}}
    assert set(request_form({**given, "sampling": {"thinking": "low", "max_tokens": 100}}).omit) == {
        "temperature",
        "top_p",
    }
    assert request_form({**given, "sampling": {"thinking": "off", "max_tokens": 100}}).omit == ()


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("gpt-5-mini", REASONING),
        ("gpt-5", REASONING),
        ("openai/gpt-5-nano-2025-08-07", REASONING),
        ("GPT-6-sol", REASONING),
        ("gpt-5.5", REASONING),
        ("gpt-5.3-chat-latest", REASONING),
        ("o4-mini", REASONING),
        # Their default effort is "none", with which they take a temperature.
        ("gpt-5.1", {"rename": {"max_tokens": "max_completion_tokens"}}),
        ("gpt-5.4-mini", {"rename": {"max_tokens": "max_completion_tokens"}}),
        ("gpt-5-chat-latest", {}),
        ("gpt-4o", {}),
        ("gpt-oss-120b", {}),
        ("olmocr-2", {}),
    ],
)
def test_names_at_openai_have_the_requests_that_they_take(name: str, identity: dict[str, Any]):
    assert form(name).identity == identity
    assert form(name, dialect="local").identity == {}


def test_the_command_line_wins_and_a_setting_can_be_sent_as_ever():
    back = {"max_tokens": "max_tokens", "temperature": "temperature", "reasoning_effort": "low", "verbosity": None}
    found = form("gpt-5", back)
    assert found.identity == {"omit": ["top_p"], "extra": {"reasoning_effort": "low"}}
    assert found.not_sent == {"model.request_by_name.gpt-[5-9]*": ["top_p"]}
    both = form("gpt-5", {"seed": None}, omit=["stop"], rename={"max_tokens": "n_predict"})
    assert both.rename == {"max_tokens": "n_predict"}
    assert both.not_sent["model.request"] == ["seed"] and both.not_sent["backend.omit"] == ["stop"]


def test_an_extra_body_is_merged_as_the_package_openai_does():
    google = {"google": {"thinking_config": {"thinking_budget": 0}}}
    found = form(request={"extra_body": {"extra_body": google, "top_k": "top_k"}})
    assert found.extra == {"extra_body": google}, "what Gemini's endpoint wants is nested once more, as in its examples"
    assert found.rename == {"top_k": "top_k"}, "an endpoint that knows it is sent sampling.top_k"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"temperature": 1}, r"model\.request\.temperature: 1 .*\n.*sampling\.temperature sets its value"),
        ({"extra_body": {"seed": 3}}, r"model\.request\.extra_body\.seed: 3"),
        ({"extra_body": 3}, "no mapping"),
        ({"stream": False}, r"backend\.stream sets it"),
        ({"messages": []}, "prompt sets it"),
        ({"n": 2}, r"sampling\.repeats sets it"),
        ({"max_tokens": "seed"}, "max_tokens can't be called 'seed'"),
        ({"max_tokens": "limit", "limit": 3}, "max_tokens can't be called 'limit'"),
        ({"max_tokens": "model"}, "max_tokens can't be called 'model'"),
        ({"max_tokens": ""}, "or none"),
    ],
)
def test_what_no_request_can_hold(request_: dict[str, Any], words: str):
    with pytest.raises(Refused, match=words):
        form(request=request_)


def test_configs_of_old_jobs_are_read():
    assert request_form({"model": {"name": "m"}, "backend": {"omit": ["seed"]}}).omit == ("seed",)
    assert request_form({"model": {"name": "m"}, "backend": {}}) == RequestForm()


QWEN = {
    "off": {"chat_template_kwargs": {"enable_thinking": False}},
    "on": {"chat_template_kwargs": {"enable_thinking": True}},
    "budget": {"chat_template_kwargs": {"enable_thinking": True}, "thinking_token_budget": "BUDGET"},
}


def thinking(word: Any, name: str = "qwen", known: dict[str, Any] | None = None, **request_: Any) -> RequestForm:
    by_name = yaml.safe_load((paths.conf_dir() / "model" / "openai.yaml").read_text())["model"]["thinking_by_name"]
    model = {"name": name, "request": request_, "request_by_name": OF_OPENAI, "thinking_by_name": by_name}
    backend = {"dialect": "openai" if known is None else None}
    sampling = {"thinking": word, "max_tokens": 4000}
    return request_form({"model": {**model, "thinking": known or {}}, "backend": backend, "sampling": sampling})


@pytest.mark.parametrize(
    ("word", "extra"),
    [
        ("off", QWEN["off"]),
        (False, QWEN["off"]),  # as YAML reads off
        ("True", QWEN["on"]),  # as OmegaConf turns it into a text
        (2000, {"chat_template_kwargs": {"enable_thinking": True}, "thinking_token_budget": 2000}),
        ("512", {"chat_template_kwargs": {"enable_thinking": True}, "thinking_token_budget": 512}),
        (None, {}),
    ],
)
def test_thinking_is_what_the_models_file_says(word: Any, extra: dict[str, Any]):
    assert thinking(word, known=QWEN).extra == extra


def test_thinking_of_names_at_openai():
    assert thinking("low", "gpt-5-mini").identity == {**REASONING, "extra": {"reasoning_effort": "low"}}
    # 5.1 takes a temperature only while it does not think.
    renamed = {"rename": {"max_tokens": "max_completion_tokens"}}
    assert thinking("off", "gpt-5.1").identity == {**renamed, "extra": {"reasoning_effort": "none"}}
    assert thinking("high", "gpt-5.1").omit == ("temperature", "top_p")
    assert thinking("off", "gpt-5.5").omit == () and thinking(None, "gpt-5.5").omit == ("temperature", "top_p")


def test_parts_of_chat_template_kwargs_are_joined_and_the_model_request_wins():
    both = thinking("off", known=QWEN, chat_template_kwargs={"add_vision_id": True})
    assert both.extra["chat_template_kwargs"] == {"enable_thinking": False, "add_vision_id": True}
    assert thinking("on", known=QWEN, chat_template_kwargs={"enable_thinking": False}).extra == QWEN["off"]


@pytest.mark.parametrize(
    ("word", "name", "known", "words"),
    [
        ("on", "gpt-4o", None, "has no thinking on.*\n.*leave it out"),
        ("off", "gpt-5-mini", None, "has no thinking off.*\n.*it has: minimal, low, medium, high"),
        (100, "gpt-5-mini", None, "has no thinking 100"),
        ("high", "qwen", QWEN, "it has: off, on, a number of tokens"),
        ("budget", "qwen", QWEN, "has no thinking budget"),
        (4000, "qwen", QWEN, r"leaves nothing of sampling\.max_tokens=4000"),
        ("-5", "qwen", QWEN, "has no thinking -5"),
    ],
)
def test_thinking_that_a_model_does_not_have(word: Any, name: str, known: dict[str, Any] | None, words: str):
    with pytest.raises(Refused, match=words):
        thinking(word, name, known)
