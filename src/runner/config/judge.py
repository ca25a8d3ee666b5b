"""The keys of conf/judge/*.yaml and of the groups conf/judge/model and conf/judge/prompt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.config.values import one_of, within


@dataclass
class JudgeModelConfig:
    """A model that judges: an endpoint, or an engine that groups of conf/ describe. An entry of conf/judge/model/."""

    model: str = "openai"  # a file of conf/model, by its name
    name: str | None = None  # the model's name at an endpoint
    quant: str | None = None  # null: the default of conf/config.yaml; likewise for backend and env
    backend: str | None = None  # the engine that serves the judge
    env: str | None = None  # where that engine runs
    base_url: str | None = None  # address of an endpoint
    api_key_variable: str | None = "OPENAI_API_KEY"  # the environment variable that holds an endpoint's key
    dialect: str | None = None  # like backend.dialect
    headers: dict[str, str] = field(default_factory=dict)  # like backend.headers
    set: dict[str, Any] = field(default_factory=dict)  # any other key of a job's config, such as backend.threads
    response_schema: bool = False  # true: the judge is sent a JSON schema that its reply must follow
    temperature: float = within(0.0, 0, 100)
    max_tokens: int = within(1024, 1)
    seed: int | None = 0  # sent with each request; null: none
    concurrency: int = within(4, 1, 10000)  # requests at a time
    retries: int = within(3, 0, 100)  # repetitions of a request that got no reply
    repairs: int = within(1, 0, 3)  # how often the judge is asked to correct a reply that contains no verdict
    request_timeout_s: float = within(120.0, 0.001)
    input_usd: float | None = within(None, 0)  # price of a million input tokens; null: not known
    output_usd: float | None = within(None, 0)  # price of a million output tokens
    image_tokens: int | None = within(None, 0)  # most tokens of one picture, to estimate the cost


@dataclass
class JudgePromptConfig:
    """The rubric of a judge. Each file in conf/judge/prompt/ sets these keys, and is never edited after use."""

    name: str = ""
    kind: str = ""  # pairwise or absolute: the kind of judge that the rubric is for
    scale: list[float] = field(default_factory=lambda: [0.0, 10.0])  # the lowest and the highest score
    criteria: dict[str, str] = field(default_factory=dict)  # name -> definition; each criterion is scored by itself
    system: str = ""  # the system text, a template like `template`
    template: str = ""  # Jinja2: what the judge is shown and asked (docs/judge.md)
    repair: str = ""  # the text that asks for a correction if the verdict can't be read


@dataclass
class JudgeConfig:
    """Whether and how a model judges the answers. Each file in conf/judge/ sets these keys."""

    name: str = "none"
    kind: str = one_of("none", "none", "pairwise", "absolute")
    model: dict[str, JudgeModelConfig] = field(default_factory=dict)  # the judges; the agreement of several is measured
    prompt: JudgePromptConfig = field(default_factory=JudgePromptConfig)
    reference_answers: str | None = None  # pairwise: a job's folder or a file of answers to compare with
    orders: str = one_of("both", "both", "alternate")
    image: bool = False  # whether the judge sees the pictures
    image_max_side: int = within(1024, 28, 8192)
    max_answer_characters: int = within(20_000, 1)  # a longer answer is cut, and the judge is told that it was cut
    budget_usd: float | None = within(5.0, 0)
