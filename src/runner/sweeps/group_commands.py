"""Prints a sweep as commands, one for each group of jobs that share an engine (`plan=commands`)."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence

from backends.api import EngineSpec
from runner.config.overrides import command, config_dir_option
from runner.planning.job import Job

# Overrides that belong to the sweep as a whole, and not to its parts.
WHOLE = ("plan", "workers", "hydra/launcher", "hydra.sweep.dir", "hydra.mode", "hydra.run.dir", "hydra.sweeper.jobs")


def print_commands(
    jobs: Sequence[Job], batch: Sequence[Sequence[str]], folder: str, hydra: Sequence[str], *, listed: bool = False
) -> None:
    """Print a command line for each group of jobs that share an engine, for Slurm arrays and queues.

    `batch` are the overrides of each job, `hydra` those of Hydra's own config. Each line is a sweep of its own in
    `folder`/<number>, so that no two need each other; where the jobs of a group are no product of values, it is more
    than one line. `listed`: the jobs come from a list, which the lines must not repeat.
    """
    groups: dict[EngineSpec, list[list[str]]] = {}
    for job, overrides in zip(jobs, batch, strict=True):
        own = [one for one in overrides if one.lstrip("+").partition("=")[0] not in WHOLE]
        groups.setdefault(job.spec, []).append(own)
    kept = [one for one in hydra if one.partition("=")[0] not in WHOLE and not one.startswith("hydra.launcher.")]
    kept += ["hydra.sweeper.jobs=null"] if listed else []
    flags = config_dir_option(sys.argv)
    number = itertools.count()
    for product in (product for group in groups.values() for product in products(group)):
        print(command("-m", *flags, *kept, f"hydra.sweep.dir={folder}/{next(number)}", *product))  # noqa: T201


def products(jobs: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Yield overrides with choices (`a=1,2`) whose products together are exactly these jobs."""
    by_keys: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for job in jobs:
        values = {key: value for key, _, value in (override.partition("=") for override in job)}
        by_keys.setdefault(tuple(values), []).append(values)
    for alike in by_keys.values():
        yield from _products(alike)


def _products(jobs: Sequence[Mapping[str, str]]) -> Iterator[list[str]]:
    choices = {key: list(dict.fromkeys(job[key] for job in jobs)) for key in jobs[0]}
    total = 1
    for values in choices.values():
        total *= len(values)
    if total == len(jobs):
        # `~key`, which takes a key away, has no value.
        yield [
            key if key[0] == "~" and values == [""] else f"{key}={','.join(values)}" for key, values in choices.items()
        ]
        return
    key = next(key for key, values in choices.items() if len(values) > 1)
    for value in choices[key]:
        yield from _products([job for job in jobs if job[key] == value])
