"""Sweeps over several workers: a launcher of Hydra (joblib, submitit, Ray) gets one task a group, not one a job.

The jobs of a group share an engine, so they run one after the other in one process, which keeps it warm; and no two
workers ever start the same engine. Any launcher that runs Hydra's task function elsewhere will do.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from backends.api import EngineSpec
from runner.jobs.folder import RUNNING, JobFolder

log = logging.getLogger(__name__)
Overrides = list[str]


@dataclass(frozen=True)
class Group:
    """The jobs that share an engine: the number of the first, and the overrides of each, which follow one another.

    `spec` is that engine's, with the limits that all of them can share.
    """

    first: int
    jobs: tuple[Overrides, ...]
    spec: EngineSpec


def grouped(batch: Sequence[Sequence[str]], specs: Sequence[EngineSpec]) -> list[Group]:
    """Split a batch that is ordered by engine where the engine changes. `specs` are those of the ordered batch."""
    groups: list[Group] = []
    for number, (overrides, spec) in enumerate(zip(batch, specs, strict=True)):
        if number and spec == specs[number - 1]:
            last = groups[-1]
            groups[-1] = Group(last.first, (*last.jobs, list(overrides)), last.spec.with_limits_of(spec))
        else:
            groups.append(Group(number, (list(overrides),), spec))
    return groups


@dataclass(frozen=True)
class GroupTask:
    """What a worker runs: all jobs of its group, as Hydra's basic launcher would, then it closes their engine.

    It is pickled to the worker. There Hydra has composed the group's own config, whose job number is the group's.
    """

    groups: tuple[Group, ...]
    folder: Path  # of the sweep; on a disk that all workers see
    cwd: Path
    config: DictConfig
    hydra_context: HydraContext
    task_function: TaskFunction

    def __call__(self, _cfg: DictConfig) -> list[JobReturn]:
        """Run the group whose number Hydra gave to this task."""
        from runner.asking import engines

        group = self.groups[HydraConfig.get().job.num]
        engines.expect([group.spec])
        os.chdir(self.cwd)  # a worker of Ray or Slurm may have begun elsewhere; dataset.path may be relative
        launcher = BasicLauncher()
        launcher.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
        try:
            with interruptible():
                return [
                    result
                    for number, overrides in enumerate(group.jobs, group.first)
                    if self._to_do(number)
                    for result in launcher.launch([[*overrides, *in_folder(self.folder)]], initial_job_idx=number)
                ]
        finally:
            engines.close()

    def _to_do(self, number: int) -> bool:
        """Tell whether a job must run: where a scheduler requeued this worker, the first ones are done already."""
        for folder in self.folder.glob(f"{number}_*"):
            if _status(folder) == "finished":
                log.info("job %d was done before this worker was requeued", number)
                return False
            JobFolder(folder).release()
        return True


def in_folder(folder: Path) -> Overrides:
    """Return the override that keeps all workers in one folder: by itself each would name it by its own clock."""
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.sweep.dir='{quoted}'"]


def as_tasks(groups: Sequence[Group], folder: Path) -> list[Overrides]:
    """Return the overrides of one task a group: those of its first job, in a folder of its own for the worker's log."""
    return [[*group.jobs[0], *in_folder(folder), "hydra.sweep.subdir=.workers/${hydra.job.num}"] for group in groups]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end the jobs of this worker in order: what a scheduler sends first, and submitit would ignore."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def watched(folder: Path, jobs: int, every_s: float = 2.0) -> Iterator[None]:
    """Say each time when jobs have ended, by what they leave: workers elsewhere can't write to this terminal."""
    done = threading.Event()

    seen: dict[str, str] = {}

    def look() -> None:
        for path in sorted(path for path in folder.iterdir() if path.is_dir()):
            if path.name not in seen and (status := _status(path)):
                seen[path.name] = status
                log.info("%s: %s; %d of %d jobs ended", path.name, status, len(seen), jobs)

    def watch() -> None:
        while not done.wait(every_s):
            look()

    thread = threading.Thread(target=watch, daemon=True, name="watch of the sweep's folder")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        look()


def _status(folder: Path) -> str | None:
    """Return how a job ended; None while it runs, or writes."""
    with contextlib.suppress(OSError, ValueError):
        status = JobFolder(folder).record["status"]
        return None if status == RUNNING else status
    return None
