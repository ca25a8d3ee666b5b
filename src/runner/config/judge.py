"""The keys of conf/judge/*.yaml and of the groups below it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.config.values import one_of, within


@dataclass
class JudgeModelConfig:
    """A model that judges: an endpoint, or one of our engines by the words of conf/. An entry of conf/judge/model/."""

    model: str = "openai"  # the word of its file in conf/model
    name: str | None = None  # of the model at an endpoint
    quant: str | None = None  # null: the default of conf/config.yaml; so for backend and env
    backend: str | None = None  # what serves it
    env: str | None = None  # where its engine runs
    base_url: str | None = None  # of an endpoint
    api_key_variable: str | None = "OPENAI_API_KEY"  # the environment variable that holds an endpoint's key
    dialect: str | None = None  # as backend.dialect
    headers: dict[str, str] = field(default_factory=dict)  # as backend.headers
    set: dict[str, Any] = field(default_factory=dict)  # any other key of a job's config, such as backend.threads
    response_schema: bool = False  # whether it takes a JSON schema that its reply must follow
    temperature: float = within(0.0, 0, 100)
    max_tokens: int = within(1024, 1)
    seed: int | None = 0  # sent with each request; null: none
    concurrency: int = within(4, 1, 10000)  # requests at a time
    retries: int = within(3, 0, 100)  # of a request that got no reply
    repairs: int = within(1, 0, 3)  # of a reply that is no verdict
    request_timeout_s: float = within(120.0, 0.001)
    input_usd: float | None = within(None, 0)  # per million tokens that it is sent; null: not known
    output_usd: float | None = within(None, 0)  # per million tokens of its replies
    image_tokens: int | None = within(None, 0)  # at most, for one picture


@dataclass
class JudgePromptConfig:
    """How a judge is asked: a rubric. One file in conf/judge/prompt/, never edited after use."""

    name: str = ""
    kind: str = ""  # pairwise or absolute: which judge it is for
    scale: list[float] = field(default_factory=lambda: [0.0, 10.0])  # the lowest and the highest score
    criteria: dict[str, str] = field(default_factory=dict)  # name -> what it means; each is a measure of its own
    system: str = ""  # the system text, a template as below
    template: str = ""  # Jinja2: what the judge is shown and asked (docs/judge.md)
    repair: str = ""  # what it is told once where its verdict can't be read


@dataclass
class JudgeConfig:
    """Whether and how answers are judged by a model. One file in conf/judge/."""

    name: str = "none"
    kind: str = one_of("none", "none", "pairwise", "absolute")
    model: dict[str, JudgeModelConfig] = field(default_factory=dict)  # who judges; several judges agree or not
    prompt: JudgePromptConfig = field(default_factory=JudgePromptConfig)
    reference_answers: str | None = None  # pairwise: a job's folder or a file of answers to compare with
    orders: str = one_of("both", "both", "alternate")
    image: bool = False  # whether the judge sees the pictures
    image_max_side: int = within(1024, 28, 8192)
    max_answer_characters: int = within(20_000, 1)  # a longer answer is cut, and the judge told so
    budget_usd: float | None = within(5.0, 0)
