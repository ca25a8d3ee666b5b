"""The schema of a job: every key of conf/, its type, its default and what it may be.

One dataclass for each group of conf/: those of models, engines, datasets, prompts, judges and the report stand in files
of their own beside this one. Importing it loads neither torch nor pandas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from runner.config.dataset import DatasetConfig
from runner.config.engine import BackendConfig, EnvConfig, PoolConfig
from runner.config.judge import JudgeConfig
from runner.config.model import ModelConfig, QuantConfig
from runner.config.prompt import PromptConfig
from runner.config.report_settings import ReportConfig
from runner.config.values import one_of, within

SUMMARIES = ("parity", "memory_profile", "resolution")


@dataclass
class SamplingConfig:
    """How tokens are drawn, and how often each question is asked. One file in conf/sampling/."""

    name: str = MISSING
    temperature: float = within(0.0, 0, 100)
    top_p: float = within(1.0, 1e-06, 1)
    top_k: int = within(0, 0)
    repetition_penalty: float = within(1.0, 1e-06, 100)
    max_tokens: int = within(128, 1)
    stop: list[str] = field(default_factory=list)  # texts that end an answer
    repeats: int = within(1, 1, 10000)
    seed: int | None = 0  # seed + repeat is sent


@dataclass
class TrackingConfig:
    """Where results are tracked. One file in conf/tracking/."""

    name: str = MISSING
    uri: str | None = None  # null: nothing is tracked
    experiment: str = "documents"  # MLflow's experiment
    traces: str = one_of(
        "none", "none", "failed", "all"
    )  # single answers with their pictures: none, failed (and wrong), all
    images: bool = True  # false: no picture is uploaded: none in traces, and a report that holds some stays here


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
    concurrency: int = within(1, 1, 10000)
    # a job in which more fail ends at once: a share of its questions, or from 1 on their number; null: never
    max_failed: float | None = within(0.5, 0)
    reuse: str = one_of("same_conditions", "same_conditions", "answers", "never")
    published: str | None = None  # a file of published figures, shown beside those of this job
    plan: str = one_of(
        "run", "run", "dry", "commands"
    )  # dry: say what would be done; commands: print a command line for each group of jobs
    stage: str = one_of(
        "all", "all", "generate", "score"
    )  # generate: ask and store only; score: score what `answers` names, without an engine
    answers: str | None = None  # for stage=score: file, job folder, sweep folder or MLflow run id
    # what the columns of a table of answers mean, where they are not called as usual
    answer_columns: dict[str, str | None] = field(default_factory=dict)
    rescore: bool = False  # replace the scores that a job already has by the same metrics
    warmup: int = within(3, 0, 1000)  # requests that are asked first and not counted
    summaries: list[str] = field(default_factory=list)  # tables after a sweep: parity, memory_profile, resolution
    objective: str | None = "quality/cer"  # the metric a job returns, for Hydra's optimising sweepers
