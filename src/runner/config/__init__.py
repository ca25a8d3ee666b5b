"""A job's configuration: its schema, the checks of its values, and the way from a command line to it.

One dataclass for each group of conf/, in `schema`, `dataset`, `prompt` and `report_settings`.
"""

from runner.config.dataset import DatasetConfig
from runner.config.prompt import PromptConfig
from runner.config.report_settings import ReportConfig
from runner.config.schema import (
    CHOICES,
    INTERPOLATED,
    STARTED,
    SUMMARIES,
    BackendConfig,
    Config,
    ContainerConfig,
    EnvConfig,
    JudgeConfig,
    JudgeModelConfig,
    JudgePromptConfig,
    ModelConfig,
    PoolConfig,
    QuantConfig,
    RemoteConfig,
    SamplingConfig,
    TrackingConfig,
    check_values,
    register,
    typed,
)

__all__ = [
    "CHOICES",
    "INTERPOLATED",
    "STARTED",
    "SUMMARIES",
    "BackendConfig",
    "Config",
    "ContainerConfig",
    "DatasetConfig",
    "EnvConfig",
    "JudgeConfig",
    "JudgeModelConfig",
    "JudgePromptConfig",
    "ModelConfig",
    "PoolConfig",
    "PromptConfig",
    "QuantConfig",
    "RemoteConfig",
    "ReportConfig",
    "SamplingConfig",
    "TrackingConfig",
    "check_values",
    "register",
    "typed",
]
