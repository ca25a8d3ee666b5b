"""Sweeps on a real Slurm of one node and on a local Ray; 4 parallel jobs on an MLflow server with PostgreSQL.

`make test-cluster` installs what they need besides the Debian packages slurm-wlm, munge and postgresql.
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from tests.cluster import eight_jobs
from tests.cluster.services import PostgresTracking
from tests.cluster.slurm import Slurm
from tests.conftest import CommandLine
from tests.runner.sweeps.test_sweep import gone

pytestmark = [pytest.mark.cluster]
WITHOUT_GPU = ("hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1")


def _skip(why: str) -> None:
    """Skip; in CI, where everything was installed before, fail."""
    (pytest.fail if os.environ.get("RUNNER_REQUIRE_CLUSTER") else pytest.skip)(why)


def _needs(*programs: str) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin:{':'.join(map(str, Path('/usr/lib/postgresql').glob('*/bin')))}"
    missing = [program for program in programs if shutil.which(program, path=path) is None]  # mostly in sbin
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        _skip(f"not on this machine: {', '.join(missing)}")


def test_slurm(cli: CommandLine, tmp_path_factory: pytest.TempPathFactory):
    _needs("munged", "slurmctld", "slurmd", "sbatch")
    with Slurm(tmp_path_factory.mktemp("slurm")) as slurm:
        cli.environment |= slurm.environment
        ended = cli(*eight_jobs.arguments(cli.folder, "submitit_slurm"), *WITHOUT_GPU, "tracking=none", timeout=200)
        eight_jobs.check(cli.folder, ended.code, ended.err)
        assert slurm.run("squeue", "--noheader").strip() == "", "nothing is left in the queue"
    assert gone(str(cli.folder / "store")), "no engine is left"


def test_ray(cli: CommandLine):
    if importlib.util.find_spec("ray") is None:
        _skip("ray is not installed: make test-cluster")
    options = ("hydra.launcher.ray.remote.num_gpus=0", "hydra.launcher.ray.init.num_cpus=2", "tracking=none")
    ended = cli(*eight_jobs.arguments(cli.folder, "ray"), *options, timeout=200)
    eight_jobs.check(cli.folder, ended.code, ended.err)
    assert gone(str(cli.folder / "store")), "no engine is left"


def test_four_parallel_jobs_on_a_team_server(cli: CommandLine, tmp_path_factory: pytest.TempPathFactory):
    _needs("initdb", "postgres", "runuser")
    with PostgresTracking(tmp_path_factory.mktemp("team")) as team:
        cli.environment["MLFLOW_TRACKING_URI"] = team.uri
        sweep = ("-m", "workers=joblib", "hydra.launcher.n_jobs=4", *eight_jobs.ECHO, "model=demo_s,demo_m")
        ended = cli(*sweep, "quant=bf16,w4a16", timeout=200)
        assert ended.code == 0, ended.err
        runs = team.runs("documents")
        jobs = [run for run in runs if run.data.tags["runner.kind"] == "job"]
        assert [run.info.status for run in jobs] == ["FINISHED"] * 4, ended.err
        assert len({len(run.data.metrics) for run in jobs}) == 1
        assert all("answers.jsonl" in team.artifacts(run.info.run_id) for run in jobs)
        assert team.uri in ended.out + ended.err
