"""Finds out what kind of answers a path holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from runner.answer_files import jobs, table, vlmhyperbench
from runner.answer_files.api import AnswerSet
from runner.datasets.opening import LoadedDataset
from runner.datasets.spreadsheet import read_sheet
from runner.datasets.tables import Table
from runner.datasets.text_files import read_csv, read_text
from runner.errors import Problem, Refused

READS = "answers: id;model_answer, or a table with the columns model_name, candidate, reference"
SHEETS = (".xlsx", ".xls", ".xlsb", ".ods")
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
    if path.suffix == ".csv":
        read = read_csv(path, READS, _separator(path))
        if set(vlmhyperbench.COLUMNS) <= set(read.header):
            return [vlmhyperbench.read(path, read, dataset(), filtered)]
        return _table(path, read, columns)
    if path.suffix in SHEETS:
        return _table(path, read_sheet(path, None, set(), READS), columns)
    raise Refused(Problem(f"answers can't be read from a {path.suffix or 'nameless'} file", str(path), KINDS))


def _table(path: Path, read: Table, columns: Mapping[str, str | None]) -> list[AnswerSet]:
    return table.read(path, read, table.chosen(read, columns))


def _separator(path: Path) -> str:
    """Return what separates the columns: the sign that the header has most of."""
    header = read_text(path, READS).splitlines()[0]
    return max(";,\t", key=header.count)
