"""Writes a JSONL dataset with the questions of finished jobs, in which human references replace the earlier ones.

A run over that dataset with the same settings asks no model again: it finds all answers in the store.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.datasets.picture_names import without_mark
from runner.jobs.rows import AnswerRow
from runner.studies.compare.jobs import Scored
from runner.studies.labels.table import Labels


def write(path: Path, labels: Labels, jobs: Sequence[Scored], *, only_labelled: bool) -> tuple[int, int, Path]:
    """Write the dataset. Return (samples, samples with a new reference, folder of the images).

    Raise Refused if a label belongs to no sample of the jobs, or if a sample has no picture.
    """
    samples: dict[str, AnswerRow] = {}
    for job in jobs:
        for row in job.result.rows():
            samples.setdefault(str(row["sample_id"]), row)
    if unknown := [sample for sample in labels.references if sample not in samples]:
        what = f"{len(unknown)} labels belong to no sample of these jobs, such as {unknown[0]!r}"
        raise Refused(Problem(what, remedy="name the jobs that the labels were exported from"))
    if blind := [sample for sample, row in samples.items() if not row["images"]]:
        what = f"{len(blind)} samples have no picture, such as {blind[0]!r}: answers of another program?"
        raise Refused(Problem(what, remedy="put the references into the table of answers, and score that again"))
    folder = Path(
        os.path.commonpath([Path(image).absolute().parent for row in samples.values() for image in row["images"]])
    )
    chosen = {name: row for name, row in samples.items() if name in labels.references or not only_labelled}
    with path.open("w", encoding="utf-8") as file:
        for name, row in chosen.items():
            line = _line(name, row, labels.references.get(name, tuple(row["references"])), folder)
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return len(chosen), len(labels.references), folder


def _line(name: str, row: Mapping[str, Any], references: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return a row in the format of `dataset=jsonl`, without keys that the sample lacks."""
    images = [Path(image).absolute().relative_to(folder).as_posix() for image in map(without_mark, row["images"])]
    optional = {key: row[key] for key in ("document", "doc_class", "field", "context") if row[key]}
    if row["answerable"] is not None:
        optional["answerable"] = row["answerable"]
    return {"id": name, "images": images, "question": row["question"], "references": list(references), **optional}
