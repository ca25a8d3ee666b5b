"""`python -m runner.plan_csv user_config.csv`: the evaluation runs of VLMHyperBench as commands, an experiment, or run.

Without options it prints a `python -m runner` line for each row, and does nothing else. docs/plans.md.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from backends.redaction import redact
from runner.base import command_line
from runner.base.errors import Problem, Refused
from runner.config.overrides import command, spelled
from runner.datasets.paths import show
from runner.sweeps.plan_csv.experiment_file import experiment
from runner.sweeps.plan_csv.rows import read_runs
from runner.sweeps.plan_csv.translate import Folders, PlannedJob, translate


def main(arguments: Sequence[str]) -> int:
    """Print, write or run a plan. Return 0, or what the runner returned."""
    given = _parser().parse_intermixed_args(arguments)
    path: Path = given.file
    if not path.is_file():
        raise Refused(Problem("there is no such file", str(path), "a user_config.csv of VLMHyperBench"))
    for extra in given.overrides:
        if "=" not in extra or extra.startswith("-"):
            raise Refused(Problem(f"{extra!r} is no key=value", "command line", "such as tracking=none"))
    runs = read_runs(path, given.base or _beside(path))
    folders = Folders(path.absolute().parent, given.datasets, given.prompts, given.answers)
    jobs = translate(runs, folders, given.model)
    if given.write:
        _write(given.write, jobs, path)
    if given.run:
        return _run(jobs, path, given.overrides)
    if not given.write:
        for job in jobs:
            print(redact(command(*_arguments(job), *given.overrides)))  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("plan_csv", __doc__)
    parser.add_argument("file", type=Path, help="user_config.csv")
    parser.add_argument("overrides", nargs="*", help="key=value, added to every job: tracking=none")
    parser.add_argument(
        "--run", action="store_true", help="run the plan: what asks as one sweep, then what only scores"
    )
    parser.add_argument(
        "--write", type=Path, metavar="experiment/NAME.yaml", help="write an experiment; never overwrites"
    )
    parser.add_argument("--model", help="a word of conf/model in place of every row's: --model demo_s tries a plan out")
    parser.add_argument("--base", type=Path, help="vlm_base.csv; default: the one beside the plan, where there is one")
    parser.add_argument("--datasets", type=Path, help="the folder that holds the folders of datasets")
    parser.add_argument("--prompts", type=Path, help="the folder of prompt collections and system prompts")
    parser.add_argument("--answers", type=Path, help="the folder of answers, for rows with only_evaluate_metrics=True")
    return parser


def _beside(path: Path) -> Path | None:
    base = path.parent / "vlm_base.csv"
    return base if base.is_file() else None


def _arguments(job: PlannedJob) -> list[str]:
    return [spelled(key, value) for key, value in job.overrides.items()]


def _write(target: Path, jobs: Sequence[PlannedJob], source: Path) -> None:
    if all(job.scores for job in jobs):
        what = "every row only evaluates metrics: there is nothing to ask, and scoring is no sweep"
        raise Refused(Problem(what, show(source), "leave --write out: the commands are printed, or --run runs them"))
    if target.suffix != ".yaml":
        raise Refused(Problem(f"{target} is no YAML file", "--write", "conf/experiment/NAME.yaml"))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(redact(experiment(jobs, target.stem, source.name)))
    except FileExistsError:
        raise Refused(Problem(f"{target} exists", "--write", "choose another name, or remove it")) from None
    print(f"{target} written; run it with: {command(*_config_dir(target), f'experiment={target.stem}')}")  # noqa: T201
    for job in jobs:
        if job.scores:
            print(redact(f"only scores, a command of its own: {command(*_arguments(job))}"))  # noqa: T201


def _config_dir(target: Path) -> list[str]:
    """Return the option that makes Hydra find an experiment outside of conf/."""
    from runner.base import paths

    folder = target.absolute().parent.parent
    return [] if folder == paths.conf_dir() else ["--config-dir", show(folder)]


def _run(jobs: Sequence[PlannedJob], source: Path, extra: Sequence[str]) -> int:
    """Run what asks as one sweep, so that rows share engines, then what only scores; return the worst exit status."""
    worst = 0
    with tempfile.TemporaryDirectory() as folder:
        if any(not job.scores for job in jobs):
            target = Path(folder) / "experiment" / "plan.yaml"
            target.parent.mkdir()
            target.write_text(experiment(jobs, "plan", source.name), encoding="utf-8")
            worst = _runner("--config-dir", folder, "experiment=plan", *extra)
        for job in jobs:
            if job.scores and worst < 128:  # not after an interruption
                worst = max(worst, _runner(*_arguments(job), *extra))
    return worst


def _runner(*arguments: str) -> int:
    """Run the runner; what ends this process ends it too, in order."""
    process = subprocess.Popen([sys.executable, "-m", "runner", *arguments])

    def hand_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        while True:
            try:
                code = process.wait()
                return code if code >= 0 else 128 - code
            except KeyboardInterrupt:  # the terminal told the runner too: it closes its engines and leaves
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
