"""What the page draws of `metrics=[grounding]` and `metrics=[page]`: boxes on the picture, tables side by side.

The metrics themselves say where a box lies and which tables belong together, with the options of each job. Labels and
cells are untrusted text; static/drawn.js sets them as text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from metrics import tables
from metrics.api import Case
from metrics.grounding import Grounding
from metrics.page import Page
from metrics.registry import MetricError, create
from metrics.tables import Table
from runner.datasets.picture_names import describe_image
from runner.report.model import Candidate, CandidateAnswer, ReportSample
from runner.report.pictures import find

MOST_BOXES = 60  # of an answer; more would hide the page
MOST_TABLES = 10  # of an answer
MOST_CELLS = 1_500  # of a table
MOST_CELLS_IN_ALL = 400_000  # of all candidates, each has its share: about 8 MB of the page
MOST_READ = 12_000_000  # characters of all answers that are looked at for tables: a quarter of a minute
LABEL, CELL = 80, 300  # characters
Kind = TypeVar("Kind")


class Drawn:
    """Turns the answers of one candidate into what is drawn of them, as plain values for JSON."""

    def __init__(self, candidate: Candidate, folders: Sequence[Path], candidates: int = 1) -> None:
        self._folders = folders
        self._grounding = _metric(candidate, Grounding)
        self._page = _metric(candidate, Page)
        self._cells, self._read = MOST_CELLS_IN_ALL // candidates, MOST_READ // candidates

    def __bool__(self) -> bool:
        """Tell whether there is anything to draw."""
        return self._grounding is not None or self._page is not None

    def of(self, sample: ReportSample, answer: CandidateAnswer) -> dict[str, Any]:
        """Return `boxes` and `tables` of an answer, each only where there is something to draw.

        `undrawn` stands for tables that the page has no room for.
        """
        made: dict[str, Any] = {}
        if self._grounding is not None and (boxes := self._boxes(self._grounding, sample, answer)):
            made["boxes"] = boxes
        if self._page is not None and answer.text is not None:
            self._read -= len(answer.text)
            if self._cells <= 0 or self._read <= 0:
                if any(mark in text for text in sample.references for mark in ("<table", "|")):
                    made["undrawn"] = True
            elif found := self._tables(self._page, sample, answer):
                made["tables"] = found
        return made

    def _case(self, sample: ReportSample, answer: CandidateAnswer) -> Case:
        images = tuple(describe_image(find(name, self._folders)) for name in sample.images[:1])
        return Case(
            sample_id=sample.id,
            document=sample.document,
            prediction=answer.text,
            references=sample.references,
            images=images,
            facts=({"image_sizes": [list(answer.seen)]} if answer.seen else {})
            | ({"warp": sample.warp} if sample.warp else {}),
        )

    def _boxes(self, metric: Grounding, sample: ReportSample, answer: CandidateAnswer) -> dict[str, Any]:
        """Return the boxes of the reference and of the answer as [left, top, right, bottom] in shares of the picture.

        A box of the answer is followed by its IoU, the number of its partner from 0 (-1: none), its label, and what is
        wrong with it.
        """
        drawing = metric.drawing(self._case(sample, answer))
        given = [
            [*_rounded(box), round(iou, 3), -1 if partner is None else partner, label[:LABEL], problem]
            for box, label, partner, iou, problem in drawing.given[:MOST_BOXES]
        ]
        if not given and not drawing.wanted and not drawing.problem:
            return {}
        made: dict[str, Any] = {"wanted": [_rounded(box) for box in drawing.wanted[:MOST_BOXES]], "given": given}
        if drawing.problem:
            made["problem"] = drawing.problem
        if (more := len(drawing.given) - len(given)) > 0:
            made["more"] = more
        return made

    def _tables(self, metric: Page, sample: ReportSample, answer: CandidateAnswer) -> list[dict[str, Any]]:
        """Return for each table the rows of the reference and of the answer, and TEDS; None for a side without one."""
        made = []
        for wanted, predicted, teds in metric.tables_beside(self._case(sample, answer))[:MOST_TABLES]:
            shown, other = _cut(wanted), _cut(predicted)
            marks = tables.differences(shown or Table(()), other or Table(()))
            pair = {
                "wanted": _rows(shown, marks[0]), "given": _rows(other, marks[1]), "teds": round(teds, 3),
            }  # fmt: skip
            if shown != wanted or other != predicted:
                pair["cut"] = True
            self._cells -= sum(table.cells for table in (shown, other) if table)
            made.append(pair)
        return made


def _metric(candidate: Candidate, kind: type[Kind]) -> Kind | None:
    """Return the metric of a job that is of a class, with the job's own options; None where it has none."""
    for name, options in candidate.result.config["metrics"].items():
        try:
            made = create(name, options)
        except MetricError:  # runner.report.loading warns of it
            continue
        if isinstance(made, kind):
            return made
    return None


def _rounded(box: Sequence[float]) -> list[float]:
    """Return the corners to a pixel of a picture 10,000 wide; what lies far outside stays a number that JSON knows."""
    return [round(min(max(number, -1e6), 1e6), 4) for number in box]


def _cut(table: Table | None) -> Table | None:
    """Return the first rows of a table."""
    if table is None or table.cells <= MOST_CELLS:
        return table
    rows, cells = [], 0
    for row in table.rows:
        cells += len(row)
        if cells > MOST_CELLS:
            rows.append(row[: len(row) - (cells - MOST_CELLS)])
            break
        rows.append(row)
    return dataclasses.replace(table, rows=tuple(rows))


def _rows(table: Table | None, marks: Sequence[Sequence[int]]) -> list[list[list[Any]]] | None:
    """Return cells as [text, mark] or [text, mark, columns, rows]; `mark` is one of metrics.tables."""
    if table is None:
        return None
    return [
        [
            [cell.text[:CELL], mark, *((cell.colspan, cell.rowspan) if cell[1:] != (1, 1) else ())]
            for cell, mark in zip(row, its, strict=True)
        ]
        for row, its in zip(table.rows, marks, strict=True)
    ]
