"""Tables for a terminal of any width: the columns that identify a row always stay, and figures are left out first.

Where a table is too wide, rich shortens all columns alike, until no cell shows which model it is about. Here the least
important figures are left out first. The line under the table names them, and says where they can be found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len

from runner.base import terminal

if TYPE_CHECKING:
    from rich.console import Console

FRAME = 3  # a column's border and the blanks beside its text; one more border ends the row
JOB = "job"
MISSING = "–"  # the cell of a figure that was not measured


@dataclass(frozen=True)
class Column:
    """A column. `narrow` holds its cells in a form that needs less width, such as an interval on its own line.

    `identity` columns, which distinguish the rows, always stay. The others are left out lowest `weight` first.
    """

    name: str
    cells: tuple[str, ...]
    identity: bool = False
    weight: int = 0
    right: bool = False
    narrow: tuple[str, ...] = ()
    styles: Mapping[str, str] = field(default_factory=dict)  # of a cell, by its text

    @property
    def need(self) -> int:
        """Return the smallest width in which no cell is broken. A heading may break between its words."""
        lines = [line for cell in self.cells for line in cell.split("\n")]
        return max(map(cell_len, [*lines, *self.name.split()]), default=1)


@dataclass(frozen=True)
class Fitted:
    """The columns that fit, with their widths, and the names of the columns that were left out."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    left_out: tuple[str, ...]
    stacked: bool


def fit(columns: Sequence[Column], width: int) -> Fitted:
    """Choose the columns that fit into a width, and the width of each.

    If not even the identity columns and the most important figure fit, the identity columns are merged into one column
    with a line for each key.
    """
    shown, left_out = _drop(columns, width)
    stacked = not any(not column.identity for column in shown) or _needs(shown) > width
    if stacked:
        shown, left_out = _drop(_stack(columns), width)
    widths = [column.need for column in shown]
    spare = width - _needs(shown)
    if spare < 0:  # the identity column alone is wider than the terminal: its text wraps, nothing is cut
        widest = widths.index(max(widths))
        widths[widest] = max(4, widths[widest] + spare)
    for place, column in enumerate(shown):
        more = max(0, min(spare, cell_len(column.name) - widths[place]))
        widths[place] += more
        spare -= more
    return Fitted(tuple(shown), tuple(widths), tuple(left_out), stacked)


def _needs(columns: Sequence[Column]) -> int:
    return sum(column.need + FRAME for column in columns) + 1


def _drop(columns: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    shown = list(columns)
    if _needs(shown) > width:
        shown = [dataclasses.replace(column, cells=column.narrow) if column.narrow else column for column in shown]
    left_out: list[Column] = []
    while _needs(shown) > width and (figures := [column for column in shown if not column.identity]):
        least = min(reversed(figures), key=lambda figure: figure.weight)
        shown.remove(least)
        left_out.append(least)
    names = [column.name for column in columns]
    return shown, [name for name in names if name in {column.name for column in left_out}]


def _stack(columns: Sequence[Column]) -> list[Column]:
    """Merge the identity columns into one column, with a line `key=value` for each."""
    keys = [column for column in columns if column.identity]
    rows = zip(*(key.cells for key in keys), strict=True)
    cells = tuple("\n".join(f"{key.name}={cell}" for key, cell in zip(keys, row, strict=True)) for row in rows)
    return [Column(JOB, cells, identity=True), *(column for column in columns if not column.identity)]


def show(console: Console, columns: Sequence[Column], *, elsewhere: str, title: str | None = None) -> None:
    """Print a table as wide as the console. A line under it names the columns that had no room, and where they are."""
    from rich.table import Table
    from rich.text import Text

    fitted = fit(columns, console.width)
    table = Table(title=title, title_justify="left", header_style="bold", show_lines=fitted.stacked)
    for column, width in zip(fitted.columns, fitted.widths, strict=True):
        table.add_column(column.name, justify="right" if column.right else "left", width=width, overflow="fold")
    for row in zip(*(column.cells for column in fitted.columns), strict=True):
        styles = [column.styles.get(cell, "") for column, cell in zip(fitted.columns, row, strict=True)]
        table.add_row(*map(Text, row, styles))  # not markup: a prompt may hold brackets
    console.print()
    console.print(table)
    if fitted.left_out:
        note = f"no room at {console.width} columns for: {', '.join(fitted.left_out)}; see {elsewhere}"
        console.print(note, highlight=False, markup=False, soft_wrap=True)


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, identity: int, text: int | None = None
) -> list[Column]:
    """Return the columns of a table that is given by rows.

    The first `identity` columns identify the rows; of the others the last ones are left out first. The first `text`
    columns (by default the identity columns) are left-aligned, the others right-aligned.
    """
    cells = list(zip(*rows, strict=True)) or [()] * len(header)
    left = identity if text is None else text
    return [
        Column(name, tuple(cells[place]), identity=place < identity, weight=-place, right=place >= left)
        for place, name in enumerate(header)
    ]


def show_rows(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    identity: int,
    elsewhere: str,
    text: int | None = None,
    title: str | None = None,
) -> None:
    """Print a table that is given by rows to standard output, as `columns` and `show` do."""
    show(terminal.console(), columns(header, rows, identity=identity, text=text), elsewhere=elsewhere, title=title)
