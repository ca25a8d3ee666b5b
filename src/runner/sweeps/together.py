"""Jobs that all begin before one of them is asked everything: races, and jobs that are measured in blocks over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from backends.api import EngineSpec
from runner.asking import engines
from runner.base.errors import Problem, Refused
from runner.config.over_time import KEY, OFF
from runner.datasets.api import Dataset, Sample
from runner.sweeps.run import UnderWay

# The jobs that have begun and wait for each other; None where none are being gathered.
_begun: list[UnderWay] | None = None


def is_wanted(cfg: Any) -> bool:
    """Say whether the jobs of a sweep with this config are asked in turns: a Config, or a composed DictConfig."""
    return bool(cfg.race.active) or cfg.repeats_over_time > 1


def enter(cfg: DictConfig) -> None:
    """Begin a job that waits for others: Hydra calls this for each. Raise Refused where no sweep here gathers them."""
    if _begun is None:
        key, off = ("race", "race=false") if cfg.race.active else (KEY, OFF)
        what = "candidates are asked in turns, and this sweeper runs jobs one after the other"
        raise Refused(Problem(what, key, f"leave out hydra/sweeper, or {off}"))
    _begun.append(UnderWay(cfg))


def launched(
    launcher: Any,
    batch: Sequence[Sequence[str]],
    specs: Sequence[EngineSpec],
    ask: Callable[[Sequence[UnderWay], int], None],
) -> list[JobReturn]:
    """Begin all jobs with Hydra's launcher, have `ask` complete them, and return what the launcher returned.

    `batch` are the overrides of each job, jobs with the same engine side by side. `ask` is given the jobs that have
    begun and how many were to begin: some may have failed at once.
    """
    global _begun
    engines.expect(specs)
    begun: list[UnderWay] = []
    _begun = begun
    try:
        returns: list[JobReturn] = list(launcher.launch(batch, initial_job_idx=0))
    except BaseException:
        for job in begun:
            job.interrupted()
        raise
    finally:
        _begun = None
    if begun:
        ask(begun, len(batch))
    jobs = iter(begun)
    for returned in returns:  # those that did not begin have an error instead
        if returned.status is JobStatus.COMPLETED:
            returned.return_value = next(jobs).objective
    return returns


@dataclass(frozen=True)
class Part:
    """A dataset of which only some samples are asked. Its digest is that of the whole: it is the same dataset."""

    whole: Dataset
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    probes: bool = False
    is_search: bool = False

    @property
    def name(self) -> str:
        """Return the dataset's name in results."""
        return self.whole.name

    def __len__(self) -> int:
        """Count the samples of this part."""
        return len(self.samples)

    def __iter__(self) -> Any:
        """Yield the samples of this part."""
        return iter(self.samples)

    def digest(self) -> str:
        """Return the digest of the whole dataset."""
        return self.whole.digest()
