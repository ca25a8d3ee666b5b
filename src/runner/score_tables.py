"""Scores as CSV tables for people and spreadsheets: by id, by (doc_class, field), by doc_class, and general.

Separated by `;`, UTF-8 with a byte order mark, as Excel in Russian expects it. What is unscored is an empty cell.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from metrics.aggregate import Aggregate
from metrics.api import Case, Score
from metrics.distribution import distribution

AGGREGATE = ("measure", "value", "ci_low", "ci_high", "n", "n_unscored", "n_documents")
GENERAL = ("mean", "std", "median", "geometric_mean", "total", "naive_ci95_halfwidth")
# The measures of a judge that carry its explanation.
JUDGED = ("ratio", "score")
# A spreadsheet would run a cell that begins like this as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(folder: Path, cases: Sequence[Case], scores: Sequence[Score], aggregates: Sequence[Aggregate]) -> None:
    """Write scores_by_id.csv, scores_by_field.csv, scores_by_class.csv and scores_general.csv into a job's folder."""
    for name, rows in tables(cases, scores, aggregates).items():
        write_csv(folder / f"scores_{name}.csv", rows)


def tables(
    cases: Sequence[Case], scores: Sequence[Score], aggregates: Sequence[Aggregate]
) -> dict[str, list[list[object]]]:
    """Return the rows of each table, a header first: by_id, by_field, by_class, general."""
    fields = [one for one in aggregates if one.field is not None]
    classes = [one for one in aggregates if one.field is None and one.doc_class is not None]
    return {
        "by_id": _by_id(cases, scores),
        "by_field": [
            ["doc_class", "field", *AGGREGATE],
            *([one.doc_class, one.field, *_figures(one)] for one in fields),
        ],
        "by_class": [["doc_class", *AGGREGATE], *([one.doc_class, *_figures(one)] for one in classes)],
        "general": _general(scores, [one for one in aggregates if one.doc_class is one.field is None]),
    }


def neutral(cell: object) -> object:
    """Return a text cell that no spreadsheet takes for a formula; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _by_id(cases: Sequence[Case], scores: Iterable[Score]) -> list[list[object]]:
    """Return one row per answer, a column per measure, and the reasons of what is unscored."""
    found: dict[tuple[str, int], dict[str, Score]] = defaultdict(dict)
    names: dict[str, None] = {}
    for score in scores:
        if not score.part:
            found[score.sample_id, score.repeat][score.name] = score
            names[score.name] = None
    explained = any(name in one and one[name].detail for one in found.values() for name in JUDGED)
    header = ["sample_id", "repeat", "document", "doc_class", "field", "answer", "references", *names, "unscored"]
    header += ["judge_explanation"] if explained else []
    rows: list[list[object]] = [list(header)]
    for case in cases:
        own: Mapping[str, Score] = found[case.sample_id, case.repeat]
        told = [case.sample_id, case.repeat, case.document, case.doc_class, case.field, case.prediction]
        values = [own[name].value if name in own else None for name in names]
        reasons = dict.fromkeys(f"{one.name}: {one.reason}" for one in own.values() if one.value is None)
        why = [next((own[name].detail for name in JUDGED if name in own), "")] if explained else []
        rows.append([*told, " | ".join(case.references), *values, "; ".join(reasons), *why])
    return rows


def _general(scores: Iterable[Score], aggregates: Iterable[Aggregate]) -> list[list[object]]:
    """Return one row per measure: the figure, and how the scores of single answers are distributed."""
    values: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        if not score.part and score.value is not None:
            values[score.name].append(score.value)
    rows: list[list[object]] = [[*AGGREGATE, *GENERAL]]
    for one in aggregates:
        found = distribution(values[one.measure])
        rows.append([*_figures(one), *(getattr(found, name) if found else None for name in GENERAL)])
    return rows


def _figures(one: Aggregate) -> list[object]:
    return [getattr(one, name) for name in AGGREGATE]


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a table for people and spreadsheets; no cell of it is a formula. Half a surrogate pair becomes `?`."""
    with path.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerows([neutral(cell) for cell in row] for row in rows)
