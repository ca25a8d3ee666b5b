"""When a job is judged: by endpoints at once, by engines of ours after all jobs, when their engines can be closed."""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from runner import store
from runner.config import Config
from runner.scoring.judging.planned import Judging, plan_judging


def judges_now(config: Config) -> Judging | None:
    """Return the judges that a job asks by itself; those that wait are asked by `runner.sweeps`."""
    judges = plan_judging(config) if config.stage == "all" else None
    return None if judges is not None and judges.needs_memory and _ended_by_us() else judges


def _ended_by_us() -> bool:
    """Say whether `runner.sweeps` goes on after the jobs; under another sweeper, such as Optuna's, it doesn't."""
    hydra = HydraConfig.get()
    return hydra.mode != RunMode.MULTIRUN or str(hydra.sweeper.get("_target_", "")).endswith(".RunnerSweeper")


def command() -> str:
    """Name the command that this process works for, by its folder, which is new."""
    hydra = HydraConfig.get()
    folder = hydra.sweep.dir if hydra.mode == RunMode.MULTIRUN else hydra.run.dir
    return store.digest(str(Path(str(folder)).absolute()))[:16]
