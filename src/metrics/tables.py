"""Tables as trees, and TEDS: how alike two tables are (Zhong, ShafieiBavani & Jimeno Yepes 2020, PubTabNet).

    <table><tr><td>a</td><td>b</td></tr></table>  and  <table><tr><td>a</td></tr></table>  ->  TEDS 2/3

A table is a tree of three levels: the table, its rows, their cells. `thead`, `tbody` and `tfoot` are no level of their
own and `th` is `td` (as in OmniDocBench, but for `tfoot`). The edit distance is that of ordered trees (Zhang & Shasha
1989). Three levels allow a shorter way to the same number: the distances of subtrees have closed forms, so that one
table remains to be filled, a row of numpy at a time. The package apted, in Python, takes a hundred times as long; tests
hold both equal.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from metrics.page_text import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metrics.api import Array

    Numbers = NDArray[np.int64]

_MOST_SPAN = 1000  # of columns, as HTML has it; more is a mistake
_BREAKS = re.compile(r"</?(?:br|p|div|li|ul|ol)\b[^>]{0,300}>", re.IGNORECASE)
_PAIRS_AT_ONCE = 2_000_000  # numbers of one step over pairs of rows: 16 MB


class Cell(NamedTuple):
    """A cell: its text without markup, and how many columns and rows it spans."""

    text: str
    colspan: int = 1
    rowspan: int = 1


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table from top to bottom, each with its cells from left to right."""

    rows: tuple[Row, ...]
    text: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Join the text of all cells, by which tables are matched."""
        object.__setattr__(self, "text", " ".join(cell.text for row in self.rows for cell in row if cell.text))

    @property
    def cells(self) -> int:
        """The number of cells."""
        return sum(map(len, self.rows))

    @property
    def nodes(self) -> int:
        """The number of rows and cells."""
        return len(self.rows) + self.cells


def of_html(source: str) -> Table:
    """Read one HTML table. What isn't closed is closed where HTML closes it; a table within a cell is its text."""
    from lxml import etree

    parser = etree.HTMLParser(remove_comments=True, remove_pis=True, encoding="utf-8")
    clean = _BREAKS.sub(" ", source.replace("\0", ""))
    root = etree.fromstring(f"<html><body>{clean}</body></html>".encode("utf-8", "replace"), parser)
    table = root.find(".//table")
    return Table(()) if table is None else Table(tuple(_rows(table)))


def _rows(table: Any) -> Iterator[Row]:
    """Yield the rows of a table. Cells outside a row are a row together; a row of no cells counts as a row."""
    loose: list[Cell] = []
    waiting = list(reversed(table))
    while waiting:
        element = waiting.pop()
        if element.tag in ("td", "th"):
            loose.append(_cell(element))
            continue
        if loose and element.tag in ("tr", "thead", "tbody", "tfoot"):
            yield tuple(loose)
            loose = []
        if element.tag == "tr":
            yield tuple(_cell(cell) for cell in element.iterchildren("td", "th"))
        elif element.tag != "table":
            waiting.extend(reversed(element))
    if loose:
        yield tuple(loose)


def _cell(element: Any) -> Cell:
    text = plain("".join(element.itertext()) if len(element) else element.text or "")
    if not element.attrib:
        return Cell(text)
    return Cell(text, _span(element.get("colspan", "")), _span(element.get("rowspan", "")))


def _span(written: str) -> int:
    """Return a span as HTML reads it: 1 where it is no number above 0."""
    digits = re.match(r"\s*\+?(\d{1,9})", written)
    return min(max(int(digits[1]), 1), _MOST_SPAN) if digits else 1


@functools.lru_cache(maxsize=1000)
def _bare(colspan: int, rowspan: int) -> Cell:
    """Return a cell without text."""
    return Cell("", colspan, rowspan)


SAME, CHANGED, ALONE = 0, 1, 2
_Marks = list[list[int]]


def differences(wanted: Table, predicted: Table) -> tuple[_Marks, _Marks]:
    """Return for each cell of both tables whether the other has it: SAME, CHANGED (text or spans), ALONE.

    For people who look at them: rows are aligned by their texts, then the cells of each pair of rows, both in order. A
    row that was left out is marked, and not the rows behind it. The score aligns nodes and can differ in ties.
    """
    marks = [[ALONE] * len(row) for row in wanted.rows]
    others = [[ALONE] * len(row) for row in predicted.rows]
    for row, other in _aligned(wanted.rows, predicted.rows):
        for edit in Levenshtein.opcodes(wanted.rows[row], predicted.rows[other]):
            kind = {"equal": SAME, "replace": CHANGED}.get(edit.tag, ALONE)
            marks[row][edit.src_start : edit.src_end] = [kind] * (edit.src_end - edit.src_start)
            others[other][edit.dest_start : edit.dest_end] = [kind] * (edit.dest_end - edit.dest_start)
    return marks, others


def _aligned(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[int, int]]:
    """Return pairs of row numbers in order. A row alone costs a half, a pair costs how far apart its texts are."""
    if not first or not second:
        return []
    texts, others = (["\0".join(cell.text for cell in row) for row in rows] for rows in (first, second))
    apart = process.cdist(texts, others, scorer=Levenshtein.normalized_distance, dtype=np.float64)
    cost = np.empty((len(first) + 1, len(second) + 1))
    cost[0] = np.arange(len(second) + 1) / 2
    count = np.arange(len(second) + 1) / 2
    for row in range(len(first)):
        cost[row + 1, 0] = (row + 1) / 2
        np.minimum(cost[row, 1:] + 0.5, cost[row, :-1] + apart[row], out=cost[row + 1, 1:])
        cost[row + 1] = np.minimum.accumulate(cost[row + 1] - count) + count
    pairs = []
    row, column = len(first), len(second)
    while row and column:
        if np.isclose(cost[row, column], cost[row - 1, column - 1] + apart[row - 1, column - 1]):
            row, column = row - 1, column - 1
            pairs.append((row, column))
        elif np.isclose(cost[row, column], cost[row - 1, column] + 0.5):
            row -= 1
        else:
            column -= 1
    return pairs[::-1]


_PIPE = re.compile(r"(?<!\\)\|")
DELIMITER = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")


def of_pipes(lines: Sequence[str]) -> Table:
    """Read a Markdown table: its header, the line of dashes, its rows. A row that is too short is filled up."""
    rows = [_pipe_cells(line) for place, line in enumerate(lines) if place != 1]
    columns = len(rows[0])
    return Table(tuple(row + (Cell(""),) * (columns - len(row)) for row in rows))


def _pipe_cells(line: str) -> Row:
    parts = _PIPE.split(line.strip())
    if len(parts) > 1 and not parts[0].strip():
        parts = parts[1:]
    if len(parts) > 1 and not parts[-1].strip():
        parts = parts[:-1]
    return tuple(Cell(plain(part)) for part in parts)


def teds(wanted: Table, predicted: Table, *, structure: bool = False, count_table: bool = False) -> float:
    """Return 1 - edit distance / nodes of the larger tree, 0 to 1; `structure`: the texts of cells don't count.

    `count_table` says whether the table itself is a node of the larger tree: the paper's formula and the package
    docling-metrics-table count it, the script of PubTabNet and OmniDocBench don't.
    """
    nodes = max(wanted.nodes, predicted.nodes) + count_table
    if not nodes:
        return 1.0
    return max(0.0, 1.0 - distance(wanted, predicted, structure=structure) / nodes)


def distance(wanted: Table, predicted: Table, *, structure: bool = False) -> float:
    """Return the edit distance of two tables.

    Inserting or deleting a node costs 1. Changing a cell costs 1 if it spans other columns or rows, else the edit
    distance of its text by the length of the longer one; changing a row into a cell costs 1.
    """
    first, second = list(wanted.rows), list(predicted.rows)
    if structure:
        first, second = (
            [tuple(_bare(cell.colspan, cell.rowspan) for cell in row) for row in rows] for rows in (first, second)
        )
    # Equal rows at both ends cost nothing in the cheapest edit: inserting costs the same wherever it happens.
    while first and second and first[-1] == second[-1]:
        first.pop()
        second.pop()
    same = 0
    while same < min(len(first), len(second)) and first[same] == second[same]:
        same += 1
    first, second = first[same:], second[same:]
    if not first or not second:
        return float(sum(1 + len(row) for row in first or second))
    return _forest_distance(first, second)


def _forest_distance(first: Sequence[Row], second: Sequence[Row]) -> float:
    """Return the edit distance of two lists of rows, by Zhang and Shasha's recurrence over nodes in postorder."""
    changes = _changes([cell for row in first for cell in row], [cell for row in second for cell in row])
    starts, others = _starts(first), _starts(second)
    between = _subtrees(first, second, changes, starts, others)
    left = np.array(_leftmost(second))
    count = np.arange(between.shape[1] + 1, dtype=np.float64)
    table = np.empty((between.shape[0] + 1, len(count)))
    table[0] = count
    step = np.empty(len(count))
    for node, leftmost in enumerate(_leftmost(first)):
        step[0] = node + 1
        np.minimum(table[node, 1:] + 1, table[leftmost][left] + between[node], out=step[1:])
        # An insertion after the best place to insert from: min over k <= j of step[k] + (j - k).
        np.add(np.minimum.accumulate(step - count), count, out=table[node + 1])
    return float(table[-1, -1])


def _starts(rows: Sequence[Row]) -> Numbers:
    """Return the number of the first cell of each row, and the number of all cells."""
    return np.concatenate(([0], np.cumsum([len(row) for row in rows])))


def _leftmost(rows: Sequence[Row]) -> list[int]:
    """Return for each node in postorder (the cells of a row, then the row) how many nodes come before its subtree."""
    before: list[int] = []
    for row in rows:
        start = len(before)
        before += range(start, start + len(row))
        before.append(start)
    return before


def _changes(first: Sequence[Cell], second: Sequence[Cell]) -> Array:
    """Return what changing each cell into each other costs, shape (cells, cells)."""
    texts, places = np.unique(np.array([cell.text for cell in first], dtype=object), return_inverse=True)
    others, their_places = np.unique(np.array([cell.text for cell in second], dtype=object), return_inverse=True)
    if not len(first) or not len(second):
        return np.ones((len(first), len(second)))
    costs = process.cdist(texts, others, scorer=Levenshtein.normalized_distance, dtype=np.float64)
    changes: Array = costs[places][:, their_places]
    spans, their_spans = ([(cell.colspan, cell.rowspan) for cell in cells] for cells in (first, second))
    if len({*spans, *their_spans}) > 1:
        differ = (np.array(spans)[:, None] != np.array(their_spans)[None]).any(axis=2)
        changes[differ] = 1.0
    return changes


def _subtrees(first: Sequence[Row], second: Sequence[Row], changes: Array, starts: Numbers, others: Numbers) -> Array:
    """Return the edit distance of each node's subtree to each other's, in postorder, shape (nodes, nodes)."""
    of_cells, of_rows = _places(first)
    their_cells, their_rows = _places(second)
    between = np.empty((len(of_cells) + len(of_rows), len(their_cells) + len(their_rows)))
    between[np.ix_(of_cells, their_cells)] = changes
    # A cell and a row of k cells: one of them is changed, the others and the row itself are inserted.
    between[np.ix_(of_cells, their_rows)] = _cheapest(changes, others) + np.diff(others)
    between[np.ix_(of_rows, their_cells)] = _cheapest(changes.T, starts).T + np.diff(starts)[:, None]
    # Two rows: they stay rows, and their cells are two sequences.
    between[np.ix_(of_rows, their_rows)] = _rows_apart(changes, starts, others)
    return between


def _places(rows: Sequence[Row]) -> tuple[list[int], list[int]]:
    """Return the numbers of cells and of rows in postorder."""
    cells: list[int] = []
    ends: list[int] = []
    for row in rows:
        start = len(cells) + len(ends)
        cells += range(start, start + len(row))
        ends.append(start + len(row))
    return cells, ends


def _cheapest(changes: Array, starts: Numbers) -> Array:
    """Return for each cell its cheapest change into one of a row's cells, shape (cells, rows); 1 for an empty row."""
    cheapest = np.ones((changes.shape[0], len(starts) - 1))
    filled = np.diff(starts) > 0
    if filled.any():
        cheapest[:, filled] = np.minimum.reduceat(changes, starts[:-1][filled], axis=1)
    return cheapest


def _rows_apart(changes: Array, starts: Numbers, others: Numbers) -> Array:
    """Return the edit distance of each row's cells to each other row's, shape (rows, rows)."""
    lengths, widths = np.diff(starts), np.diff(others)
    width = int(widths.max())
    columns = np.minimum(others[:-1, None] + np.arange(width), max(changes.shape[1] - 1, 0))
    apart = np.empty((len(lengths), len(widths)))
    at_once = max(1, _PAIRS_AT_ONCE // max(1, len(widths) * (width + 1)))
    for start in range(0, len(lengths), at_once):
        rows = np.arange(start, min(start + at_once, len(lengths)))
        count = np.arange(width + 1, dtype=np.float64)
        row = np.broadcast_to(count, (len(rows), len(widths), width + 1))
        apart[rows[lengths[rows] == 0]] = widths
        for place in range(int(lengths[rows].max())):
            cells = np.minimum(starts[rows] + place, changes.shape[0] - 1)
            step = np.empty(row.shape)
            step[..., 0] = place + 1
            if width:
                np.minimum(row[..., 1:] + 1, row[..., :-1] + changes[cells][:, columns], out=step[..., 1:])
            row = np.minimum.accumulate(step - count, axis=-1) + count
            ended = lengths[rows] == place + 1
            apart[rows[ended]] = np.take_along_axis(row[ended], widths[None, :, None], axis=-1)[..., 0]
    return apart
