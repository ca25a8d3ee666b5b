"""The schema of a job: every key of conf/, with its type, its default and its allowed values.

Each group of conf/ has one dataclass. Those of models, engines, datasets, prompts, judges and the report are in their
own files in this folder. Importing the schema loads neither torch nor pandas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from runner.config.dataset import DatasetConfig
from runner.config.engine import BackendConfig, EnvConfig, PoolConfig
from runner.config.judge import JudgeConfig
from runner.config.load import LoadConfig
from runner.config.model import ModelConfig, QuantConfig
from runner.config.prompt import PromptConfig
from runner.config.race import RaceConfig
from runner.config.report_settings import ReportConfig
from runner.config.values import one_of, within

SUMMARIES = ("parity", "memory_profile", "resolution")
MOST_REPEATS = 10_000


@dataclass
class SamplingConfig:
    """How tokens are sampled, and how often each question is asked. Each file in conf/sampling/ sets these keys."""

    name: str = MISSING
    temperature: float = within(0.0, 0, 100)
    top_p: float = within(1.0, 1e-06, 1)
    top_k: int = within(0, 0)
    repetition_penalty: float = within(1.0, 1e-06, 100)
    max_tokens: int = within(128, 1)
    stop: list[str] = field(default_factory=list)  # texts that end an answer
    # how much the model thinks before it answers: a word of model.thinking (off, on, low, high, ...), or a budget in
    # tokens; null: as it does by itself
    thinking: str | None = None
    repeats: int = within(1, 1, MOST_REPEATS)
    seed: int | None = 0  # repeat number N of a question is sent seed + N
    # true: the log-probability of each token of an answer is asked for and stored; null: where metrics=[confidence]
    # needs it and the engine can give it
    logprobs: bool | None = None


@dataclass
class TrackingConfig:
    """Where results are tracked. Each file in conf/tracking/ sets these keys."""

    name: str = MISSING
    uri: str | None = None  # null: nothing is tracked
    experiment: str = "documents"  # name of the experiment in MLflow
    traces: str = one_of(
        "none", "none", "failed", "all"
    )  # which answers are uploaded as traces, with their pictures: none, failed (and wrong), all
    images: bool = True  # false: no picture is uploaded; traces have none, and a report with pictures isn't uploaded


@dataclass
class Config:
    """One job."""

    model: ModelConfig = field(default_factory=ModelConfig)
    quant: QuantConfig = field(default_factory=QuantConfig)
    backend: BackendConfig = field(default_factory=BackendConfig)
    env: EnvConfig = field(default_factory=EnvConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    metrics: dict[str, Any] = field(default_factory=dict)  # metric -> its options
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    load: LoadConfig = field(default_factory=LoadConfig)
    race: RaceConfig = field(default_factory=RaceConfig)
    concurrency: int = within(1, 1, 10000)
    # blocks in which each job is measured, candidates in turns (A B, B A), so that a machine that changes is noticed
    repeats_over_time: int = within(1, 1, 20)
    # a job ends at once if more questions fail: below 1 a share of its questions, else their number; null: never
    max_failed: float | None = within(0.5, 0)
    # USD that all candidates of one command may cost by model.price, never exceeded; null: no limit
    budget_usd: float | None = within(None, 0)
    reuse: str = one_of("same_conditions", "same_conditions", "answers", "never")
    published: str | None = None  # a file of published figures, which the report shows beside those of this job
    plan: str = one_of(
        "run", "run", "dry", "commands"
    )  # dry: print what would be done; commands: print a command line for each group of jobs
    stage: str = one_of(
        "all", "all", "generate", "score"
    )  # generate: ask and store, without scores; score: score the answers that `answers` names, without an engine
    answers: str | None = None  # for stage=score: a file, a job folder, a sweep folder or an MLflow run id
    # meaning -> column of a table of answers, for columns that don't have their usual name
    answer_columns: dict[str, str | None] = field(default_factory=dict)
    rescore: bool = False  # true: scores that a job already has are computed again and replaced
    warmup: int = within(3, 0, 1000)  # requests that are sent before the measurement and not counted
    summaries: list[str] = field(default_factory=list)  # tables made after a sweep: parity, memory_profile, resolution
    objective: str | None = "quality/cer"  # the metric a job returns, for Hydra's optimising sweepers
