"""VLMHyperBench's answers: a CSV beside its annotation, `id` being the zero-based row of that in any order.

id;model_answer
3;Имя: Игоревич
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from backends.api import Failure
from runner.base.errors import Problem, Refused
from runner.datasets.opening import LoadedDataset
from runner.datasets.tables import Table
from runner.jobs.answer_files.api import AnswerSet, listed, odd_answers, row

COLUMNS = ("id", "model_answer")


def read(path: Path, table: Table, dataset: LoadedDataset, filtered: bool) -> AnswerSet:
    """Join answers with the samples of the annotation.

    Samples without an answer count as failed. An id that the annotation doesn't have is an error, unless filters
    (`dataset.doc_class=…`) have left it out.
    """
    problems: list[Problem] = []
    answers = dict(_answers(table, problems))
    samples = {sample.id: sample for sample in dataset}
    strangers = [name for name in answers if name not in samples]
    if strangers and not filtered:
        what = f"{len(strangers)} ids are not in the annotation: {listed(strangers)}"
        problems.append(Problem(what, str(path), f"it has {len(samples)} rows, from 0; is it the right dataset.path?"))
    if problems:
        raise Refused(problems)
    absent = [name for name in samples if name not in answers]
    if len(absent) == len(samples):
        raise Refused(Problem("no answer belongs to a sample of the dataset", str(path)))
    notes = list(odd_answers([(f"id {name}", text) for name, text in answers.items()]))
    if absent:
        notes.append(
            f"{len(absent)} of {len(samples)} samples have no answer and count as failed: ids {listed(absent)}"
        )
    if strangers:
        notes.append(f"{len(strangers)} answers are to samples that the dataset's filters leave out")
    lost = Failure("bad_input", f"{path.name} has no answer with this id")
    how = "id = the zero-based row of the annotation, answer = 'model_answer'"
    about = (*table.notes, f"{path.name}: read as VLMHyperBench's answers: {how}")
    rows = [
        row(sample, answers.get(name), failure=None if name in answers else lost) for name, sample in samples.items()
    ]
    about = (*about, *notes, *dataset.notes)
    return AnswerSet(path.stem, rows, str(path), notes=about, dataset_digest=dataset.digest())


def _answers(table: Table, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """Yield (id, answer); note each row that can't be."""
    places: dict[str, str] = {}
    for line in table.lines(("id",), answers=("model_answer",)):
        if isinstance(line, Problem):
            problems.append(line)
            continue
        name = line.texts["id"].strip()
        if not name.isascii() or not name.isdigit():
            problems.append(Problem(f"id is {name!r}", line.where, "the zero-based row of the annotation"))
            continue
        name = str(int(name))
        if name in places:
            problems.append(Problem(f"id {name} is there twice, first in {places[name]}", line.where, "keep one"))
            continue
        places[name] = line.where
        yield name, line.texts["model_answer"]
