"""Finds out what kind of answers a path holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from runner.base.errors import Problem, Refused
from runner.datasets.opening import LoadedDataset
from runner.datasets.table_files import SHEETS, read_table
from runner.jobs.answer_files import columns as meanings
from runner.jobs.answer_files import jobs, table, vlmhyperbench
from runner.jobs.answer_files.api import AnswerSet

READS = "answers: id;model_answer, or a table with the columns model_name, candidate, reference"
KINDS = "a job's folder or answers.jsonl, a sweep's folder, an MLflow run id, a .csv, or a spreadsheet"


def open_answers(
    path: Path,
    columns: Mapping[str, str | None],
    dataset: Callable[[], LoadedDataset],
    *,
    filtered: bool = False,
) -> list[AnswerSet]:
    """Read the answers that a path holds. `dataset` is only called where the file needs the questions.

    Raise Refused with everything that is wrong with the file.
    """
    if path.is_dir():
        return jobs.read_folder(path)
    if path.suffix == ".jsonl":
        return [jobs.read_file(path)]
    if path.suffix.lower() in (".csv", ".tsv", *SHEETS):
        read = read_table(path, READS)
        if set(vlmhyperbench.COLUMNS) <= set(read.header):
            return [vlmhyperbench.read(path, read, dataset(), filtered)]
        return table.read(path, read, meanings.chosen(read, columns))
    raise Refused(Problem(f"answers can't be read from a {path.suffix or 'nameless'} file", str(path), KINDS))
