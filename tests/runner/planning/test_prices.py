"""Prices of a job: half a price and a budget that can't be kept are refused before anything is asked."""

from __future__ import annotations

import pytest

from runner.base.errors import Refused
from runner.config import Config
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
