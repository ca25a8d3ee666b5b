"""When a job is judged: at once by remote endpoints; after all jobs by judges that need an engine and its memory."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from runner import store
from runner.config import Config
from runner.scoring.judging.planned import Judging, plan_judging


def judges_now(config: Config) -> Judging | None:
    """Return the judges that a job asks itself; None if it has none or `runner.sweeps` asks them after all jobs."""
    judges = plan_judging(config) if config.stage == "all" else None
    return None if judges is not None and judges.needs_memory and _can_judge_later() else judges


def _can_judge_later() -> bool:
    """Tell whether the runner can judge after the jobs: in a single run and under its own sweeper, not Optuna's."""
    hydra = HydraConfig.get()
    return hydra.mode != RunMode.MULTIRUN or str(hydra.sweeper.get("_target_", "")).endswith(".RunnerSweeper")


def command_id() -> str:
    """Return an id of the command that this process belongs to: a digest of its output folder, which is unique."""
    hydra = HydraConfig.get()
    folder = hydra.sweep.dir if hydra.mode == RunMode.MULTIRUN else hydra.run.dir
    return store.digest(str(Path(str(folder)).absolute()))[:16]
