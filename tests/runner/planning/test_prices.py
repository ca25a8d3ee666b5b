"""Prices of a job: half a price and a budget that can't be kept are refused before anything is asked."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from backends.process.uv_environment import UvEnvironment
from runner.base.errors import Refused
from runner.config import Config, EnvConfig, ModelConfig
from runner.planning import prices


def config(**price: float | None) -> Config:
    made = Config()
    made.model.name, made.backend.name, made.env.name = "m", "openai", "current"
    made.backend.base_url, made.backend.dialect = "http://127.0.0.1:9/v1", "openai"
    for name, value in price.items():
        setattr(made.model.price, name, value)
    return made


@pytest.mark.parametrize(
    ("price", "changed", "words"),
    [
        ({"input_usd": 1.0}, {}, r"model\.price\.output_usd: half a price"),
        ({"output_usd": 1.0}, {}, r"model\.price\.input_usd: half a price"),
        ({}, {"budget_usd": 1.0}, "its price is not known"),
        ({"input_usd": 1.0, "output_usd": 1.0}, {"budget_usd": 1.0}, r"model\.price\.image_tokens"),
        ({"input_usd": 1.0, "output_usd": 1.0, "image_tokens": 9}, {"budget_usd": 1.0, "request": {"max_tokens": None}},
         "no limit on the length of answers"),
    ],
)  # fmt: skip
def test_refused(price: dict[str, float], changed: dict[str, object], words: str):
    made = config(**price)
    made.model.request = changed.pop("request", {})  # type: ignore[assignment]
    for name, value in changed.items():
        setattr(made, name, value)
    with pytest.raises(Refused, match=words):
        prices.check(made, pictures=True)


def test_what_needs_no_budget_needs_no_price():
    made = config()
    made.budget_usd, made.backend.base_url = 1.0, None
    prices.check(made, pictures=True)  # an engine of ours in a sweep with endpoints
    priced = config(input_usd=1.0, output_usd=2.0)
    priced.budget_usd = 1.0
    prices.check(priced, pictures=False)


def test_an_hour_is_that_of_all_replicas():
    made = config()
    assert prices.of_an_hour(made) is None and prices.told(made) == ""
    made.env.price_per_hour, made.backend.replicas = 1.5, 2
    assert prices.of_an_hour(made) == 3.0 and prices.told(made) == "3 USD an hour"
    automatic = config()
    automatic.env.name, automatic.backend.env, automatic.env.price_per_hour = "auto", "current", 0.5
    assert prices.of_an_hour(automatic) == 0.5, "a price is no setting of an environment"


def test_litellms_table_gives_the_price_where_the_model_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {
        "claude-x": {
            "input_cost_per_token": 1e-06,
            "output_cost_per_token": 5e-06,
            "cache_read_input_token_cost": 1e-07,
        },
        "gigachat/Free": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    }
    (tmp_path / "litellm").mkdir()
    (tmp_path / prices._TABLE).write_text(json.dumps(table))
    (tmp_path / "litellm-1.2.3.dist-info").mkdir()
    monkeypatch.setattr(UvEnvironment, "site_packages", lambda _: tmp_path)
    monkeypatch.setattr(UvEnvironment, "is_built", lambda _: True)

    def asked(name: str) -> Config:
        config = Config(model=ModelConfig(name="litellm", path=name))
        config.backend.name, config.backend.env = "litellm", "litellm"
        config.env = EnvConfig(name="litellm", kind="uv", requirements="envs/litellm.txt")
        return config

    known = asked("anthropic/claude-x")
    price = prices.of_tokens(known)
    assert price is not None and (price.input_usd, price.output_usd, price.cached_usd) == (1.0, 5.0, 0.1)
    assert "the table of litellm 1.2.3" in prices.told(known) and time.strftime("%Y-%m-%d") in prices.told(known)
    assert prices.of_tokens(asked("gigachat/Free")) is None, "its 0 is no price"
    assert prices.of_tokens(asked("gigachat/Unknown")) is None
    known.model.price.input_usd, known.model.price.output_usd = 7.0, 8.0
    given = prices.of_tokens(known)
    assert given is not None and given.input_usd == 7.0, "a given price wins"
    monkeypatch.setattr(UvEnvironment, "is_built", lambda _: False)
    assert prices.of_tokens(asked("anthropic/claude-x")) is None, "before the environment is built there is no table"
    asked_with_a_budget = asked("anthropic/claude-x")
    asked_with_a_budget.budget_usd = 1.0
    with pytest.raises(Refused, match="its price is not known"):
        prices.check(asked_with_a_budget, pictures=False)
