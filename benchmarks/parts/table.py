"""A table of figures for the terminal."""

from __future__ import annotations

from collections.abc import Mapping


def show(columns: Mapping[str, Mapping[str, float]]) -> None:
    """Print one row for each figure and one column for each program; what a program does not have is a dash."""
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    width = max(len(name) for name in names) + 2
    print(" " * width + "".join(f"{column:>20}" for column in columns))
    for name in names:
        cells = [f"{column[name]:20.2f}" if name in column else f"{'-':>20}" for column in columns.values()]
        print(f"{name:{width}}" + "".join(cells), flush=True)
