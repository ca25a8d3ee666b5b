"""`python -m runner.labels`: uses the labels that people filled into disagreements.csv.

references FILE JOB... --to DATASET.jsonl    a dataset with the references that people gave (human_reference)
agreement FILE JOB...                        how well the judge, or another measure, agrees with people (human_score)
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.base import command_line

if TYPE_CHECKING:
    from runner.studies.compare.jobs import Scored
    from runner.studies.labels.table import Labels


def main(arguments: Sequence[str]) -> int:
    """Read the labels and run the subcommand."""
    options = _parser().parse_args(arguments)
    from runner.jobs import named
    from runner.studies.compare.jobs import read_jobs
    from runner.studies.labels import table

    labels = table.read(options.labels)
    with named.folders(options.jobs, options.tracking_uri) as groups:
        (jobs,) = read_jobs([list(dict.fromkeys(job for group in groups for job in group))])
        (_references if options.what == "references" else _agreement)(options, labels, jobs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("labels", __doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("references", "agreement"):
        command = commands.add_parser(name)
        command.add_argument(
            "labels", type=Path, metavar="FILE", help="a .csv or .xlsx as python -m runner.export wrote it"
        )
        command.add_argument("jobs", nargs="+", metavar="JOB", help="job folder, sweep folder or MLflow run id")
        command.add_argument("--tracking-uri", help="where run ids are looked up")
        if name == "references":
            command.add_argument("--to", type=Path, required=True, metavar="DATASET.jsonl")
            command.add_argument("--only-labelled", action="store_true", help="leave out samples that nobody labelled")
        else:
            command.add_argument(
                "--measure", action="append", help="may be repeated; default: the judge's, else all quality"
            )
            command.add_argument(
                "--shown", type=int, default=5, metavar="N", help="answers listed that are furthest apart"
            )
    return parser


def _references(options: argparse.Namespace, labels: Labels, jobs: Sequence[Scored]) -> None:
    from runner.studies.labels import references

    count, changed, folder = references.write(options.to, labels, jobs, only_labelled=options.only_labelled)
    print(f"{options.to}: {count} samples, {changed} with a reference from people")  # noqa: T201
    print(f"use it:  dataset=jsonl dataset.path={options.to} dataset.images={folder}")  # noqa: T201


def _agreement(options: argparse.Namespace, labels: Labels, jobs: Sequence[Scored]) -> None:
    from runner.studies.labels import agreement

    named = {candidate for _, _, candidate in labels.scores}
    labelled = [job for job in jobs if job.name in named] or list(jobs)
    for measure in options.measure or agreement.measures(labelled):
        checked = agreement.check(labels, labelled, measure)
        print(checked)  # noqa: T201
        for disputed in checked.disputed[: options.shown]:
            scores = f"people {disputed.human:g}, {measure} {disputed.measured:.3g}"
            answer = f"{disputed.question!r} -> {disputed.answer[:120]!r} {disputed.explanation[:200]}"
            print(f"  {disputed.sample_id} {disputed.candidate}: {scores}: {answer}".rstrip())  # noqa: T201
