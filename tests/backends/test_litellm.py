from __future__ import annotations

import json

import pytest

from backends import litellm_server
from backends.api import EngineSpec, Launch
from backends.litellm import LiteLlmBackend

CANARY = "sk-canary-of-a-provider"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "MY_KEY", "MY_SECRET"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)


def launch(model: str = "anthropic/claude-x", quant: str = "native", weights: str = "real", **args: str) -> Launch:
    return LiteLlmBackend().launch(
        EngineSpec("litellm", model, quant=quant, weights=weights, args=tuple(args.items())), 4711
    )


def parameters(made: Launch) -> dict[str, str]:
    found: dict[str, str] = json.loads(made.argv[made.argv.index("--parameters") + 1])
    return found


def test_keys_go_by_the_names_of_variables() -> None:
    made = launch(**{"engine_args.aws_secret_access_key": "$MY_SECRET", "engine_args.aws_region_name": "eu-central-1"})
    assert parameters(made) == {
        "model": "anthropic/claude-x",
        "api_key": "os.environ/ANTHROPIC_API_KEY",
        "aws_secret_access_key": "os.environ/MY_SECRET",
        "aws_region_name": "eu-central-1",
    }
    assert parameters(launch(api_key_variable="MY_KEY"))["api_key"] == "os.environ/MY_KEY"
    assert "api_key" not in parameters(launch("bedrock/anthropic.claude-x")), "it has its own way to sign"
    assert CANARY not in repr(made)
    assert (made.dialect, made.token_ids) == ("openai", False) and "provider" in made.unmeasured


@pytest.mark.parametrize(
    ("model", "quant", "args", "words"),
    [
        ("claude-x", "native", {}, "name the provider, too.*model.path=anthropic/claude-x"),
        ("anthropic/claude-x", "bf16", {}, "quant=bf16: a provider's precision can't be chosen"),
        ("gemini/gemini-x", "native", {}, "environment variable GEMINI_API_KEY is not set"),
        ("anthropic/claude-x", "native", {"api_key_variable": "NONE"}, "backend.api_key_variable.*NONE is not set"),
        (
            "anthropic/claude-x",
            "native",
            {"engine_args.aws_secret_access_key": "abc"},
            "is a key.*names an environment",
        ),
        ("anthropic/claude-x", "native", {"engine_args.api_key": "abc"}, "set backend.api_key_variable instead"),
        ("anthropic/claude-x", "native", {"engine_args.num_retries": "3"}, "set backend.retries instead"),
        ("anthropic/claude-x", "native", {"max_pixels": "3"}, "no setting max_pixels=3"),
    ],
)
def test_what_it_can_not_ask(model: str, quant: str, args: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        launch(model, quant, **args)


def test_the_proxy_neither_asks_again_nor_drops_nor_tells() -> None:
    made = litellm_server.settings({"model": "anthropic/x", "api_key": "os.environ/K"}, 60.0)
    assert made["model_list"] == [
        {"model_name": "model", "litellm_params": {"model": "anthropic/x", "api_key": "os.environ/K", "max_retries": 0}}
    ]
    assert made["router_settings"]["num_retries"] == 0 and made["router_settings"]["disable_cooldowns"] is True
    assert made["litellm_settings"]["drop_params"] is False and made["litellm_settings"]["telemetry"] is False
    assert made["general_settings"]["master_key"] == "os.environ/RUNNER_ENGINE_KEY"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("ModuleNotFoundError: No module named 'litellm_cli'", "env=litellm"),
        ("ModuleNotFoundError: Missing dependency No module named 'semver'. Run", "lacks semver"),
        ("litellm.BadRequestError: LLM Provider NOT provided. Pass in", "model.path=PROVIDER/NAME"),
    ],
)
def test_known_failures_say_what_to_do(log: str, words: str) -> None:
    failure = LiteLlmBackend().translate(log)
    assert failure is not None and words in failure.message
