"""Sweeps over several workers on this machine. Slurm and Ray: test_clusters.py."""

from pathlib import Path

import pytest

from backends.api import EngineSpec
from runner.sweeps.groups import Group, as_tasks, grouped
from tests.cluster import eight_jobs
from tests.conftest import CommandLine
from tests.runner.sweeps.test_sweep import gone


def test_groups_follow_the_engine():
    batch = [["a=1"], ["a=2"], ["b=1"]]
    x, larger, y = EngineSpec("x", "m", largest_pixels=4), EngineSpec("x", "m", largest_pixels=9), EngineSpec("y", "m")
    groups = grouped(batch, [x, larger, y])
    assert groups == [Group(0, (["a=1"], ["a=2"]), x), Group(2, (["b=1"],), y)]
    assert [group.spec.largest_pixels for group in groups] == [9, None]  # the largest that the group will ask for
    assert grouped([], []) == []


def test_a_task_runs_in_the_folder_of_the_sweep(tmp_path: Path):
    folder = tmp_path / "it's here"
    (task,) = as_tasks([Group(0, (["a=1"],), EngineSpec("x", "m"))], folder)
    assert task[0] == "a=1" and "it\\'s here" in task[1] and task[2].startswith("hydra.sweep.subdir=.workers/")


@pytest.mark.parametrize("workers", ["joblib", "submitit_local"])
def test_eight_jobs_on_three_engines(cli: CommandLine, workers: str):
    tracking = ("tracking=none",) if workers == "submitit_local" else ()  # SQLite: made once, by the parent
    ended = cli(*eight_jobs.arguments(cli.folder, workers), *tracking)
    eight_jobs.check(cli.folder, ended.code, ended.err)
    assert "8 of 8 jobs ended" in ended.err
    assert gone(str(cli.folder / "store")), "no engine is left"
