from __future__ import annotations

import pytest

from backends.api import Endpoint, EngineSpec
from backends.openai import OpenAiBackend


def endpoint(quant: str = "native", weights: str = "real", **args: str) -> Endpoint:
    args = {"base_url": "https://gateway.example/v1", **args}
    return OpenAiBackend().launch(
        EngineSpec("openai", "gpt-4o", quant=quant, weights=weights, args=tuple(args.items())), 1
    )


def test_an_endpoint_with_key_and_headers_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-canary")
    monkeypatch.setenv("MY_ORG", "org-7")
    found = endpoint(api_key_variable="MY_KEY", headers='{"X-Org": "$MY_ORG", "X-Team": "documents"}')
    assert (found.url, found.model, found.dialect) == ("https://gateway.example/v1", "gpt-4o", "openai")
    assert found.api_key == "sk-canary" and found.headers == {"X-Org": "org-7", "X-Team": "documents"}
    assert "canary" not in repr(found) and "org-7" not in repr(found)


def test_a_colleagues_server_takes_every_setting_and_no_key() -> None:
    found = endpoint(base_url="http://10.0.0.7:8000/v1/chat/completions/", dialect="local")
    assert (found.url, found.dialect, found.api_key) == ("http://10.0.0.7:8000/v1", "local", "")


def test_a_query_without_a_key_belongs_to_the_address() -> None:
    address = "https://x.example/openai/deployments/d/chat/completions?api-version=2024-10-21"
    found = endpoint(base_url=address)
    assert found.url == "https://x.example/openai/deployments/d?api-version=2024-10-21"
    assert (
        endpoint(base_url="https://x.example/v1/?api-version=preview").url == "https://x.example/v1?api-version=preview"
    )


def test_settings_can_be_left_out_and_renamed() -> None:
    found = endpoint(omit='["temperature", "seed"]', rename='{"max_tokens": "max_completion_tokens"}')
    assert (found.omit, found.rename) == (("temperature", "seed"), {"max_tokens": "max_completion_tokens"})


@pytest.mark.parametrize(
    ("quant", "args", "words"),
    [
        ("native", {"base_url": "gateway.example/v1"}, r"backend\.base_url='gateway"),
        ("native", {"base_url": "https://me:secret@gateway.example/v1"}, r"backend\.api_key_variable names"),
        ("native", {"base_url": "https://gateway.example/v1?key=secret"}, "its parameter key is a key"),
        ("native", {"base_url": "https://gateway.example/v1?api-version=1&sig=secret"}, "its parameter sig is a key"),
        ("native", {"base_url": "https://gateway.example/v1?x=sk-secret12345678"}, "its parameter x is a key"),
        ("native", {"omit": '["model"]'}, r"backend\.omit: model is no setting"),
        ("native", {"omit": '["temprature"]'}, r"backend\.omit: temprature .* valid: stream_options, temperature"),
        ("native", {"rename": '{"topk": "k"}'}, r"backend\.rename: topk"),
        ("native", {"stream": "no"}, r"backend\.stream=no"),
        ("native", {"rename": '{"max_tokens": "seed"}'}, r"backend\.rename: max_tokens can't be called 'seed'"),
        ("native", {"api_key_variable": "NOT_SET"}, r"NOT_SET: this environment variable is not set"),
        ("native", {"headers": '{"X-Org": "$NOT_SET"}'}, r"headers\.X-Org: the environment variable NOT_SET"),
        ("native", {"dialect": "klingon"}, "dialect=klingon"),
        ("native", {"engine_args.max_model_len": "9"}, "starts no engine"),
        ("bf16", {}, "quant=bf16: the quantisation of an endpoint"),
    ],
)
def test_what_can_not_be_asked(quant: str, args: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ValueError, match=words) as raised:
        endpoint(quant, **args)
    assert "secret" not in str(raised.value)


def test_an_endpoint_has_its_own_weights() -> None:
    with pytest.raises(ValueError, match=r"model\.weights=dummy"):
        endpoint(weights="dummy")
