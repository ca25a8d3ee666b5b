"""`python -m runner.export SWEEP_DIR... --to DIR`: jobs as workbooks, tables, JSON lines, a list to review."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runner.base import command_line
from runner.jobs.folder import ANSWERS, JobFolder

# Each kind of export, and its files.
KINDS = {
    "workbooks": ("summary_test_stats.xlsx", "auto_metrics_stats.xlsx", "judgement_scores.xlsx"),
    "metrics": ("metrics_by_id.csv", "metrics_by_field.csv", "metrics_by_class.csv", "metrics_general.csv"),
    "answers": (ANSWERS,),
    "disagreements": ("disagreements.csv",),
}


def main(arguments: Sequence[str]) -> int:
    """Write the files and list them."""
    parser = command_line.parser("export", __doc__)
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="job folder, sweep folder or MLflow run id")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="a folder for the files; made if need be")
    parser.add_argument("--only", action="append", choices=KINDS, help="may be repeated; default: all")
    parser.add_argument("--overwrite", action="store_true", help="replace files of an earlier export")
    parser.add_argument(
        "--tracking-uri", help="where run ids are looked up; default: $MLFLOW_TRACKING_URI or mlflow.db"
    )
    options = parser.parse_args(arguments)
    from runner.jobs import named

    with named.folders(options.jobs, options.tracking_uri) as folders:
        _export(folders, options.to, options.only or tuple(KINDS), overwrite=options.overwrite)
    return 0


def _export(groups: Sequence[Sequence[JobFolder]], folder: Path, kinds: Sequence[str], *, overwrite: bool) -> None:
    """Write the kinds of export, and print each file with its number of rows."""
    from runner.studies.compare.jobs import read_jobs
    from runner.studies.export import answer_lines, disagreements, metric_tables, workbooks

    (jobs,) = read_jobs([list(dict.fromkeys(job for group in groups for job in group))])
    for job in jobs:
        if job.result.is_open:
            print(f"{job.name}: {job.result.error}", file=sys.stderr)  # noqa: T201
    jobs = [job for job in jobs if job.result.has_answers]
    if not jobs:
        raise ValueError("none of these jobs has answers")
    folder.mkdir(parents=True, exist_ok=True)
    if not overwrite and any(folder.iterdir()):
        # Overwriting could lose labels that somebody wrote into disagreements.csv.
        raise ValueError(f"{folder} is not empty; choose another folder, or --overwrite")
    makers = {
        "workbooks": workbooks.write,
        "metrics": metric_tables.write,
        "answers": answer_lines.write,
        "disagreements": disagreements.write,
    }
    print(f"{len(jobs)} jobs: {', '.join(job.name for job in jobs)}")  # noqa: T201
    for kind in dict.fromkeys(kinds):
        for name in KINDS[kind]:  # an earlier export may be of other jobs
            (folder / name).unlink(missing_ok=True)
        written = makers[kind](folder, jobs)
        for path, count in written.items():
            print(f"{path}: {count} rows")  # noqa: T201
        if kind == "workbooks" and (missing := [name for name in KINDS[kind] if folder / name not in written]):
            print(f"not written, none of their figures was measured: {', '.join(missing)}")  # noqa: T201
        if kind == "metrics" and not written:
            print("no tables of metrics: no job was scored")  # noqa: T201
