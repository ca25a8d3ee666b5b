"""A job as our command plans it, for benchmarks that ask its questions or start its engine themselves."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir

from runner import config
from runner.asking.load import Ask
from runner.asking.questions import Generated, Questions
from runner.base import paths
from runner.base.progress import Progress
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.store import Shelf

VLLM_ON_A_CPU = ("model=demo_m", "quant=fp32", "backend=vllm", "env=vllm_cpu", "tracking=none")


def job(*words: str) -> Job:
    """Compose and check a job from the words of a command line."""
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", list(words)))


def questions(planned: Job, folder: Path) -> list[Ask]:
    """Return the job's questions in its order; the store in this folder is empty, so none is answered."""
    walk = Questions(planned, Shelf(folder / "none.jsonl"), Generated(), Progress("", 0))
    return list(walk.missing())
