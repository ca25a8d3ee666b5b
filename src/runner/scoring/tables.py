"""Scores as CSV tables for people and spreadsheets: by id, by (doc_class, field), by doc_class, and general.

Separated by `;`, UTF-8 with a byte order mark, as Excel in Russian expects it. What is unscored is an empty cell.
"""

from __future__ import annotations

import csv
import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from metrics.aggregate import Aggregate
from metrics.api import Case, Score
from metrics.distribution import distribution
from runner.jobs.folder import JUDGED

AGGREGATE = ("measure", "value", "ci_low", "ci_high", "n", "n_unscored", "n_documents")
GENERAL = ("mean", "std", "median", "geometric_mean", "total", "naive_ci95_halfwidth")
# A spreadsheet would run a cell that begins like this as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Columns:
    """The values of scores by measure and answer: what the tables need of them, in a fraction of their memory.

    `values` has for each measure one number per case, in their order, NaN where nothing was scored. Scores of parts of
    structured answers are left out.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        """Prepare rows for these cases."""
        self._rows = {(case.sample_id, case.repeat): row for row, case in enumerate(cases)}
        self.values: dict[str, array[float]] = {}
        self.reasons: dict[int, dict[str, None]] = defaultdict(dict)  # in the order of the measures
        self.explained: dict[int, str] = {}

    def add(self, score: Score) -> None:
        """Take in one score. Those of no case are left out."""
        row = self._rows.get((score.sample_id, score.repeat))
        if score.part or row is None:
            return
        if score.name not in self.values:
            self.values[score.name] = array("d", [math.nan]) * len(self._rows)
        if score.value is None:
            self.reasons[row][f"{score.name}: {score.reason}"] = None
        else:
            self.values[score.name][row] = score.value
        if score.detail and score.name in JUDGED:
            self.explained.setdefault(row, score.detail)

    @classmethod
    def of(cls, cases: Sequence[Case], scores: Iterable[Score]) -> Columns:
        """Gather the scores of these cases."""
        made = cls(cases)
        for score in scores:
            made.add(score)
        return made


def write(folder: Path, cases: Sequence[Case], columns: Columns, aggregates: Sequence[Aggregate]) -> None:
    """Write scores_by_id.csv, scores_by_field.csv, scores_by_class.csv and scores_general.csv into a job's folder."""
    for name, rows in tables(cases, columns, aggregates).items():
        write_csv(folder / f"scores_{name}.csv", rows)


def tables(
    cases: Sequence[Case], columns: Columns, aggregates: Sequence[Aggregate]
) -> dict[str, Iterable[list[object]]]:
    """Return the rows of each table, a header first: by_id, by_field, by_class, general."""
    fields = [figure for figure in aggregates if figure.field is not None]
    classes = [figure for figure in aggregates if figure.field is None and figure.doc_class is not None]
    return {
        "by_id": _by_id(cases, columns),
        "by_field": [
            ["doc_class", "field", *AGGREGATE],
            *([figure.doc_class, figure.field, *_figures(figure)] for figure in fields),
        ],
        "by_class": [["doc_class", *AGGREGATE], *([figure.doc_class, *_figures(figure)] for figure in classes)],
        "general": _general(columns, [figure for figure in aggregates if figure.doc_class is figure.field is None]),
    }


def neutral(cell: object) -> object:
    """Return a text cell that no spreadsheet takes for a formula; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _by_id(cases: Sequence[Case], columns: Columns) -> Iterator[list[object]]:
    """Yield one row per answer, a column per measure, and the reasons of what is unscored."""
    explained = bool(columns.explained)
    header = ["sample_id", "repeat", "document", "doc_class", "field", "answer", "references", *columns.values]
    yield [*header, "unscored", *(["judge_explanation"] if explained else [])]
    for row, case in enumerate(cases):
        cells = [case.sample_id, case.repeat, case.document, case.doc_class, case.field, case.prediction]
        values = [None if math.isnan(column[row]) else column[row] for column in columns.values.values()]
        why = [columns.explained.get(row, "")] if explained else []
        yield [*cells, " | ".join(case.references), *values, "; ".join(columns.reasons.get(row, ())), *why]


def _general(columns: Columns, aggregates: Iterable[Aggregate]) -> list[list[object]]:
    """Return one row per measure: the figure, and how the scores of single answers are distributed."""
    rows: list[list[object]] = [[*AGGREGATE, *GENERAL]]
    for figure in aggregates:
        spread = distribution([value for value in columns.values.get(figure.measure, ()) if not math.isnan(value)])
        rows.append([*_figures(figure), *(getattr(spread, name) if spread else None for name in GENERAL)])
    return rows


def _figures(figure: Aggregate) -> list[object]:
    return [getattr(figure, name) for name in AGGREGATE]


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a table for people and spreadsheets; no cell of it is a formula. Half a surrogate pair becomes `?`."""
    with path.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerows([neutral(cell) for cell in row] for row in rows)
