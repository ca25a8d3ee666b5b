"""`python -m runner.report SWEEP_DIR…`: prints the comparison of finished jobs and writes their report page.

python -m runner.report multirun/2026-01-31/12-00-00 --constraint "latency/p95_s<1.5" --language ru
python -m runner.report --experiment documents          all jobs of an MLflow experiment
python -m runner.report RUN_ID RUN_ID                   some of its runs
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.base import command_line

RUN_ID = re.compile(r"[0-9a-f]{32}")
CONSTRAINT = re.compile(r"([^<>=!]+?)\s*((?:<=|>=|==|!=|<|>|=).*)", re.DOTALL)


def main(arguments: Sequence[str]) -> int:
    """Write the report and return 0."""
    with tempfile.TemporaryDirectory() as downloads:
        return _report(_parser().parse_args(arguments), Path(downloads))


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("report", __doc__)
    parser.add_argument("sources", nargs="*", help="folders of sweeps or jobs, ids of MLflow runs")
    parser.add_argument("--experiment", help="an MLflow experiment: all its finished jobs")
    parser.add_argument("--tracking-uri", help="of --experiment and run ids; default: MLFLOW_TRACKING_URI, ./mlflow.db")
    parser.add_argument(
        "--out", type=Path, help="the page; default: report.html in the folder, or here if there are several"
    )
    parser.add_argument("--constraint", action="append", metavar="NAME<VALUE", help="instead of the sweep's own")
    parser.add_argument("--baseline", help="a job's name or folder that the others are compared with")
    parser.add_argument("--measure", help="the measure of quality that decides, such as cer")
    parser.add_argument("--language", choices=("en", "ru"))
    return parser


def _report(options: argparse.Namespace, downloads: Path) -> int:
    from runner.base.terminal import say
    from runner.config.report_settings import constraint_problems, unknown_metric
    from runner.jobs.folder import NO_JOB, JobFolder
    from runner.report import spoken, write
    from runner.report.table import show

    folders = [Path(source) for source in options.sources if not RUN_ID.fullmatch(source)]
    if absent := [folder for folder in folders if not folder.exists()]:
        raise ValueError(f"{absent[0]} is neither a folder nor the id of an MLflow run")
    runs = [source for source in options.sources if RUN_ID.fullmatch(source)]
    searched = list(folders)
    if runs or options.experiment:
        searched += _download(options, runs, downloads)
    if not searched:
        raise ValueError("name a sweep's folder, --experiment NAME, or the ids of runs (--help tells more)")
    results = [result for folder in searched for result in JobFolder.below(folder)]
    if not results:
        raise ValueError(f"{', '.join(map(str, searched))}: {NO_JOB}")
    for name, _ in map(_constraint, options.constraint or ()):
        measured = {metric for result in results for metric in result.metrics}
        if "/" in name and (problem := unknown_metric(name, measured)):
            raise ValueError(f"--constraint: {problem}")
    # Before anything is shown, because the conditions are what the page is asked for.
    if problems := list(constraint_problems(dict(map(_constraint, options.constraint or ())))):
        raise ValueError("--constraint: " + "; ".join(f"{one.what} -> {one.remedy}" for one in problems))
    # The page of several folders is that of none of them: a sweep keeps its own.
    alone = len(searched) == 1 and searched == folders and folders[0].is_dir()
    out = options.out or (folders[0] / "report.html" if alone else Path("report.html"))
    named = ["/".join(folder.resolve().parts[-2:]) for folder in folders]
    title = ", ".join([*named, *([options.experiment] if options.experiment else []), *runs])
    show(results)
    try:
        report = write(results, out, title, **_settings(options))
    except OSError as error:  # finished sweeps are often kept where nobody may write
        if error.filename is None or Path(error.filename) != out:
            raise
        raise ValueError(
            f"{out} can't be written: {error.strerror or error}; --out FILE writes it elsewhere"
        ) from error
    for line in spoken.lines(report):
        say(line)
    say(f"report:  {out}")
    return 0


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    settings = {name: getattr(options, name) for name in ("baseline", "measure", "language")}
    if options.constraint:
        settings["constraints"] = dict(_constraint(written) for written in options.constraint)
    return settings


def _constraint(written: str) -> tuple[str, str]:
    match = CONSTRAINT.fullmatch(written.strip())
    if match is None:
        raise ValueError(f"--constraint {written!r}: it takes a form such as latency/p95_s<1.5 or licence=apache-2.0")
    return match.group(1), match.group(2)


def _download(options: argparse.Namespace, runs: Sequence[str], folder: Path) -> list[Path]:
    """Download the runs' files and return their folders."""
    import os

    from runner.jobs import tracking
    from runner.report import tracked

    uri = options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    wanted = [*runs, *(tracked.job_runs(uri, options.experiment) if options.experiment else [])]
    for run in wanted:
        tracking.download(uri, run, folder / run)
    return [folder / run for run in wanted]
