"""What a job's answers cost: by the tokens that its endpoint counts, or by the hours of what its engine runs on.

A price that is not known is None and never 0: what it would be a part of is then not known either.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from dataclasses import dataclass
from pathlib import Path

from backends.process.uv_environment import UvEnvironment
from runner.base.errors import Problem, Refused
from runner.config import Config, JudgeModelConfig, PriceConfig
from runner.config.request_form import request_form
from runner.planning import checkpoints, environments

PER = 1e6  # prices are for a million tokens
_KINDS = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")  # of the table
_TABLE = "litellm/model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. `cached_usd` is for input that was cached before (None: like other input).

    `image_tokens` is the maximum number of tokens of a picture, None if it is not known.
    """

    input_usd: float = 0.0
    output_usd: float = 0.0
    image_tokens: int | None = None
    cached_usd: float | None = None

    @classmethod
    def of_judge(cls, settings: JudgeModelConfig) -> Price:
        """Return the prices of a judge's config; a missing price is 0."""
        return cls(settings.input_usd or 0.0, settings.output_usd or 0.0, settings.image_tokens or 0)

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0.0) -> float:
        """Return the price in USD. `cached_tokens` are a part of `prompt_tokens`."""
        cached = self.input_usd if self.cached_usd is None else self.cached_usd
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input_usd + cached_tokens * cached + completion_tokens * self.output_usd) / PER

    @property
    def dearest_input(self) -> Price:
        """Return the same with the highest price that input may have: nobody knows before what will be cached."""
        return dataclasses.replace(self, input_usd=max(self.input_usd, self.cached_usd or 0.0), cached_usd=None)


def of_tokens(config: Config) -> Price | None:
    """Return the price of a job's tokens; None where it is not known."""
    return of_a_model(_settings(config))


def _settings(config: Config) -> PriceConfig:
    """Return `model.price`, or what LiteLLM's table says of a model that it is asked for. A given price wins."""
    given = config.model.price
    if config.backend.name != checkpoints.PROVIDERS or not (given.input_usd is None and given.output_usd is None):
        return given
    env = environments.resolve(config)
    if not isinstance(env, UvEnvironment) or not env.is_built():
        return given  # before its environment was built there is no table
    found = _of_the_table(env.site_packages(), config.model.path or config.model.name)
    return given if found is None else dataclasses.replace(found, image_tokens=given.image_tokens)


@functools.cache
def _of_the_table(site_packages: Path, name: str) -> PriceConfig | None:
    """Return a model's price in LiteLLM's table; None where it has none. Its 0 stands for a price that it lacks."""
    try:
        table = json.loads((site_packages / _TABLE).read_text(encoding="utf-8"))
        entry = table.get(name) or table.get(name.partition("/")[2]) or {}
        read, written, cached = (_cost(entry.get(kind)) for kind in _KINDS)
    except (OSError, ValueError, AttributeError):
        return None
    if read is None or written is None:
        return None
    version = next((one.name.split("-")[1] for one in site_packages.glob("litellm-*.dist-info")), "?")
    return PriceConfig(
        input_usd=read,
        output_usd=written,
        cached_usd=cached,
        date=time.strftime("%Y-%m-%d"),
        source=f"the table of litellm {version.removesuffix('.dist')}",
    )


def _cost(of_a_token: object) -> float | None:
    return round(of_a_token * PER, 9) if isinstance(of_a_token, (int, float)) and of_a_token > 0 else None


def of_a_model(price: PriceConfig) -> Price | None:
    """Return the price that `model.price` says, typed or as Hydra composed it; None where it is not known."""
    if price.input_usd is None or price.output_usd is None:
        return None
    return Price(price.input_usd, price.output_usd, price.image_tokens, price.cached_usd)


def of_an_hour(config: Config) -> float | None:
    """Return what an hour of all engines of a job costs in USD; None where that is not known."""
    env = environments.chosen(config)
    hourly = env.price_per_hour
    if hourly is None and env.remote is not None:
        hourly = env.remote.price_per_hour
    return None if hourly is None else hourly * config.backend.replicas


def told(config: Config) -> str:
    """Return in words by which prices a job's cost is reckoned; empty where none is known."""
    price, parts = _settings(config), []
    if (tokens := of_tokens(config)) is not None:
        cached = "" if tokens.cached_usd is None else f", {tokens.cached_usd:g} for cached input"
        words = f"{tokens.input_usd:g} USD for a million tokens of input, {tokens.output_usd:g} of output{cached}"
        parts.append(f"{words} ({', '.join(filter(None, (price.date, price.source))) or 'of an unknown date'})")
    if (hour := of_an_hour(config)) is not None:
        parts.append(f"{hour:g} USD an hour")
    return "; ".join(parts)


def check(config: Config, *, pictures: bool) -> None:
    """Refuse half a price, and a budget that can't be kept. `pictures`: they are a part of the job's requests."""
    price, problems = config.model.price, []
    if (price.input_usd is None) != (price.output_usd is None):
        missing = "input_usd" if price.input_usd is None else "output_usd"
        problems.append(Problem("half a price is none", f"model.price.{missing}", "USD for a million tokens"))
    if config.budget_usd is not None and config.stage != "score":
        problems += _unbudgeted(config, pictures=pictures)
    if problems:
        raise Refused(problems)


def _unbudgeted(config: Config, *, pictures: bool) -> list[Problem]:
    """Return why the budget of a job that is paid for by its tokens can't be kept."""
    price, problems, otherwise = of_tokens(config), [], "or budget_usd=null"
    if price is None:
        if config.backend.base_url is None and config.backend.name != checkpoints.PROVIDERS:
            return []  # an engine of ours: nobody counts its tokens
        what = "its price is not known, so no budget can be kept"
        remedy = f"model.price.input_usd and .output_usd, USD for a million tokens, {otherwise}"
        return [Problem(what, "budget_usd", remedy)]
    if pictures and price.image_tokens is None and price.dearest_input.input_usd:
        what = "how many tokens a picture takes is not known, so no budget can be kept"
        problems.append(Problem(what, "model.price.image_tokens", f"the most that one picture takes, {otherwise}"))
    if "max_tokens" in request_form(config).omit and price.output_usd:
        what = "no limit on the length of answers is sent, so no budget can be kept"
        problems.append(Problem(what, "model.request.max_tokens", f"send it, {otherwise}"))
    return problems
