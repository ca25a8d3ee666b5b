"""Tables for a terminal of any width: what tells the rows apart is shown whole, and figures give way to it.

rich shortens all columns alike where a table is too wide, until no cell says which model it is about. Here figures go
first, the least important ones before the others, and the line under the table names what went and where it is.
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
MISSING = "–"  # what was not measured


@dataclass(frozen=True)
class Column:
    """A column. `narrow` are its cells in a form that takes less width, such as an interval on a line of its own.

    Columns that tell the rows apart (`identity`) always stay; of the others those with the lowest `weight` go first.
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
        """Return the width in which no cell is broken; a heading may break between its words."""
        lines = [line for cell in self.cells for line in cell.split("\n")]
        return max(map(cell_len, [*lines, *self.name.split()]), default=1)


@dataclass(frozen=True)
class Fitted:
    """Columns with their widths, and the names of those that had to go."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    left_out: tuple[str, ...]
    stacked: bool


def fit(columns: Sequence[Column], width: int) -> Fitted:
    """Choose the columns that fit into a width, and how wide each is.

    Where not even identity and the most important figure fit, what tells the rows apart is put into one column, a line
    for each key.
    """
    shown, left_out = _drop(columns, width)
    stacked = not any(not one.identity for one in shown) or _needs(shown) > width
    if stacked:
        shown, left_out = _drop(_stack(columns), width)
    widths = [one.need for one in shown]
    spare = width - _needs(shown)
    if spare < 0:  # identity alone is wider than the terminal: its text goes on in the next line, nothing is cut
        widest = widths.index(max(widths))
        widths[widest] = max(4, widths[widest] + spare)
    for place, one in enumerate(shown):
        more = max(0, min(spare, cell_len(one.name) - widths[place]))
        widths[place] += more
        spare -= more
    return Fitted(tuple(shown), tuple(widths), tuple(left_out), stacked)


def _needs(columns: Sequence[Column]) -> int:
    return sum(one.need + FRAME for one in columns) + 1


def _drop(columns: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    shown = list(columns)
    if _needs(shown) > width:
        shown = [dataclasses.replace(one, cells=one.narrow) if one.narrow else one for one in shown]
    left_out: list[Column] = []
    while _needs(shown) > width and (figures := [one for one in shown if not one.identity]):
        least = min(reversed(figures), key=lambda one: one.weight)
        shown.remove(least)
        left_out.append(least)
    names = [one.name for one in columns]
    return shown, [name for name in names if name in {one.name for one in left_out}]


def _stack(columns: Sequence[Column]) -> list[Column]:
    """Put what tells the rows apart into one column, as `key=value`, a line for each."""
    told = [one for one in columns if one.identity]
    rows = zip(*(one.cells for one in told), strict=True)
    cells = tuple("\n".join(f"{one.name}={cell}" for one, cell in zip(told, row, strict=True)) for row in rows)
    return [Column(JOB, cells, identity=True), *(one for one in columns if not one.identity)]


def show(console: Console, columns: Sequence[Column], *, elsewhere: str, title: str | None = None) -> None:
    """Print a table as wide as the console, and under it what did not fit and where (`elsewhere`) that is."""
    from rich.table import Table
    from rich.text import Text

    fitted = fit(columns, console.width)
    table = Table(title=title, title_justify="left", header_style="bold", show_lines=fitted.stacked)
    for one, width in zip(fitted.columns, fitted.widths, strict=True):
        table.add_column(one.name, justify="right" if one.right else "left", width=width, overflow="fold")
    for row in zip(*(one.cells for one in fitted.columns), strict=True):
        styles = [one.styles.get(cell, "") for one, cell in zip(fitted.columns, row, strict=True)]
        table.add_row(*map(Text, row, styles))  # not markup: a prompt may hold brackets
    console.print()
    console.print(table)
    if fitted.left_out:
        told = f"no room at {console.width} columns for: {', '.join(fitted.left_out)}; see {elsewhere}"
        console.print(told, highlight=False, markup=False, soft_wrap=True)


def columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, identity: int, text: int | None = None
) -> list[Column]:
    """Return the columns of a table that is given by rows.

    The first `identity` columns tell the rows apart; of the others the last ones give way first. The first `text`
    columns, by default those, are set to the left, figures to the right.
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
    """Print a table that is given by rows, as `columns` and `show` do, on standard output."""
    show(terminal.console(), columns(header, rows, identity=identity, text=text), elsewhere=elsewhere, title=title)
