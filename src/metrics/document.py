"""Writes the tables of docs/metrics.md from the code: `python -m metrics.document docs/metrics.md`."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metrics.api import Measure
from metrics.registry import BUILT_IN, create

BEGIN, END = "<!-- measures: begin (python -m metrics.document) -->", "<!-- measures: end -->"


# Metrics whose options decide which measures they yield, with options that together yield all of them.
VARIANTS: Mapping[str, Sequence[Mapping[str, Any]]] = {"judge": ({"kind": "pairwise"}, {"kind": "absolute"})}


def measures(name: str) -> list[Measure]:
    """Return the measures that a built-in metric can yield, without duplicates."""
    yielded = (measure for options in VARIANTS.get(name, ({},)) for measure in create(name, options).measures)
    return list({measure.name: measure for measure in yielded}.values())


def table() -> str:
    """Return a Markdown table of every measure of the built-in metrics."""
    lines = [
        "| measure | metric | better | aggregate | range | formula | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in BUILT_IN:
        for measure in measures(name):
            tracked = measure.name if measure.group == "quality" else f"{measure.group}/{measure.name}"
            cells = (f"`{tracked}`", f"`{name}`", measure.better, measure.aggregate, _range(measure))
            lines.append("| " + " | ".join((*cells, measure.formula, measure.source)) + " |")
    return "\n".join(lines)


def updated(text: str) -> str:
    """Return a document in which the table between the marks is the current one."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no table: the marks {BEGIN!r} and {END!r} are missing")
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def _range(measure: Measure) -> str:
    if math.isinf(measure.low):
        return "any"
    return f"{measure.low:g} to {measure.high:g}" if measure.high is not None else f"from {measure.low:g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the tables of the files named on the command line."""
    paths = sys.argv[1:] if arguments is None else list(arguments)
    if not paths:
        sys.stderr.write("usage: python -m metrics.document FILE…\n")
        return 2
    for path in map(Path, paths):
        path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
