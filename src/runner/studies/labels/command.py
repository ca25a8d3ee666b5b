"""`python -m runner.labels`: takes what people wrote into disagreements.csv.

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
    """Read the labels and do what was asked."""
    given = _parser().parse_args(arguments)
    from runner.jobs import named
    from runner.studies.compare.jobs import read_jobs
    from runner.studies.labels import table

    labels = table.read(given.labels)
    with named.folders(given.jobs, given.tracking_uri) as groups:
        (jobs,) = read_jobs([list(dict.fromkeys(job for group in groups for job in group))])
        (_references if given.what == "references" else _agreement)(given, labels, jobs)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_line.parser("labels", __doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    for name in ("references", "agreement"):
        one = commands.add_parser(name)
        one.add_argument(
            "labels", type=Path, metavar="FILE", help="a .csv or .xlsx as python -m runner.export wrote it"
        )
        one.add_argument("jobs", nargs="+", metavar="JOB", help="job folder, sweep folder or MLflow run id")
        one.add_argument("--tracking-uri", help="where run ids are looked up")
        if name == "references":
            one.add_argument("--to", type=Path, required=True, metavar="DATASET.jsonl")
            one.add_argument("--only-labelled", action="store_true", help="leave out samples that nobody labelled")
        else:
            one.add_argument(
                "--measure", action="append", help="may be repeated; default: the judge's, else all quality"
            )
            one.add_argument("--shown", type=int, default=5, metavar="N", help="answers listed that are furthest apart")
    return parser


def _references(given: argparse.Namespace, labels: Labels, jobs: Sequence[Scored]) -> None:
    from runner.studies.labels import references

    count, changed, folder = references.write(given.to, labels, jobs, only_labelled=given.only_labelled)
    print(f"{given.to}: {count} samples, {changed} with a reference from people")  # noqa: T201
    print(f"use it:  dataset=jsonl dataset.path={given.to} dataset.images={folder}")  # noqa: T201


def _agreement(given: argparse.Namespace, labels: Labels, jobs: Sequence[Scored]) -> None:
    from runner.studies.labels import agreement

    named = {candidate for _, _, candidate in labels.scores}
    labelled = [job for job in jobs if job.name in named] or list(jobs)
    for measure in given.measure or agreement.measures(labelled):
        checked = agreement.check(labels, labelled, measure)
        print(checked)  # noqa: T201
        for one in checked.doubts[: given.shown]:
            print(f"  {one.sample_id} {one.candidate}: people {one.human:g}, {measure} {one.measured:.3g}: "  # noqa: T201
                  f"{one.question!r} -> {one.answer[:120]!r} {one.explanation[:200]}".rstrip())  # fmt: skip
