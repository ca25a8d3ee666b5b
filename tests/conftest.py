"""Fixtures of all tests: the repository, the shared real data, the command line, a third-party package."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import patient

ROOT = Path(__file__).resolve().parents[1]
# The reasons for which CI lets an engine be skipped.
NO_ROOM = "GiB of disk are free, the engine's environment needs"
NO_AVX512 = "the llama-server of env=llama_cpp needs a processor with AVX-512"
SHARED = (ROOT.parent / "shared" / "data").resolve()


# Where this is set, each of some thousand processes compiles every module anew: the suite took twice the CPU.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# pytest-xdist tells its workers the width of its own terminal, by which our tables would leave columns out.
os.environ.pop("COLUMNS", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    parser.addoption("--update-snapshots", action="store_true", help="write tests/conf/snapshots anew")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With RUNNER_REQUIRE_ENGINES=1, as in CI, an engine that is skipped has failed, but for these reasons."""
    report = yield
    for marker, variable in (("engine", "RUNNER_REQUIRE_ENGINES"), ("docker", "RUNNER_REQUIRE_DOCKER")):
        is_required = item.get_closest_marker(marker) and os.environ.get(variable) == "1"
        if report.skipped and is_required and not any(why in str(report.longrepr) for why in (NO_ROOM, NO_AVX512)):
            report.outcome = "failed"
            report.longrepr = f"skipped, and {variable}=1: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared real data (../shared/data) are not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def third_party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed third-party package: the `echo` backend, a metric, a dataset reader."""
    target = tmp_path_factory.mktemp("third_party")
    source = ROOT / "tests" / "third_party"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [*command, "--target", str(target), str(source)], check=True, capture_output=True, timeout=patient(120)
    )
    return target


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def tracking_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with MLflow's database as our first run makes it. Making one takes seconds of CPU, copying it none.

    That the product makes its own is seen in tests/runner/jobs/test_tracking.py and by `make demo`.
    """
    folder = tmp_path_factory.mktemp("tracking_database")
    command = "from runner.jobs.tracking import prepare; prepare('sqlite:///mlflow.db', 'documents')"
    subprocess.run([sys.executable, "-c", command], cwd=folder, check=True, timeout=patient(120))
    return folder


def _copy_database(source: Path, folder: Path) -> None:
    """Copy MLflow's database; its experiments keep their artifacts beside the copy."""
    copied = folder / "mlflow.db"
    shutil.copy(source / "mlflow.db", copied)
    with contextlib.closing(sqlite3.connect(copied)) as database, database:
        changed = "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)"
        database.execute(changed, (str(source), str(folder)))


class CommandLine:
    """Runs `python -m runner` in a folder with a store, MLflow database and environment of its own."""

    def __init__(self, folder: Path, packages: Path, database: Path | None = None) -> None:
        self.folder = folder
        self._given_database: int | None = None  # when the database was changed that a test was given
        if database is not None and not (folder / "mlflow.db").exists():
            _copy_database(database, folder)
            self._given_database = (folder / "mlflow.db").stat().st_mtime_ns
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
        self.environment |= {
            "PYTHONPATH": str(packages),
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(folder / "hub"),
            "OMP_NUM_THREADS": "1",
            "RUNNER_STORE": str(folder / "store"),
        }

    def command(self, *arguments: str, module: str = "runner") -> list[str]:
        return [sys.executable, "-m", module, *arguments]

    def __call__(self, *arguments: str, module: str = "runner", timeout: float = 150) -> Ended:
        ended = subprocess.run(
            self.command(*arguments, module=module),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=patient(timeout),
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def left(self) -> set[str]:
        """What stands in the folder, but for a database that was given and has not changed."""
        found = {path.relative_to(self.folder).parts[0] for path in self.folder.rglob("*")}
        database = self.folder / "mlflow.db"
        is_unchanged = database.exists() and database.stat().st_mtime_ns == self._given_database
        return found - {"mlflow.db"} if is_unchanged else found


@pytest.fixture
def cli(tmp_path: Path, third_party: Path, tracking_database: Path) -> CommandLine:
    """The command line in a folder that holds MLflow's database and nothing else."""
    return CommandLine(tmp_path, third_party, tracking_database)


@pytest.fixture
def new_cli(tmp_path: Path, third_party: Path) -> CommandLine:
    """The command line in an empty folder, as on the first day."""
    return CommandLine(tmp_path, third_party)


@pytest.fixture(scope="session")
def make_cli(third_party: Path, tracking_database: Path) -> Callable[[Path], CommandLine]:
    """The command line in a folder of the test's choice."""
    return lambda folder: CommandLine(folder, third_party, tracking_database)
