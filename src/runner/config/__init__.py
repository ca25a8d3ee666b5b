"""A job's configuration: its schema, the checks of its values, and the reading of overrides on a command line.

Each group of conf/ has one dataclass. `schema` holds the whole job; the larger groups have their own files.
"""

from runner.config.composing import INTERPOLATED, STARTED, check_values, register, typed
from runner.config.dataset import DatasetConfig
from runner.config.engine import BackendConfig, ContainerConfig, EnvConfig, PoolConfig, RemoteConfig
from runner.config.judge import JudgeConfig, JudgeModelConfig, JudgePromptConfig
from runner.config.model import ModelConfig, PriceConfig, QuantConfig
from runner.config.prompt import PromptConfig
from runner.config.report_settings import ReportConfig
from runner.config.schema import SUMMARIES, Config, SamplingConfig, TrackingConfig

__all__ = [
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
    "PriceConfig",
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
