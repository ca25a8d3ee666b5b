"""What summaries of a sweep share: a table on the terminal, the same as CSV, and a page of line charts."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.base import chart_colors, terminal_table
from runner.base.terminal_table import MISSING
from runner.jobs.folder import JobFolder

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: a line for each series, by name."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[Point]] = field(default_factory=dict)


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int) -> None:
    """Print a table; the first columns are text and tell the rows apart, the others are figures."""
    elsewhere = "the CSV file named below"
    terminal_table.show_rows(header, rows, identity=text_columns, elsewhere=elsewhere, title=title)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write rows; what was not measured stays empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([["" if value is None else value for value in row] for row in rows])


def write_charts(path: Path, title: str, panels: Sequence[Panel]) -> None:
    """Write a page of charts that needs no network; panels without a point are left out."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    shown = [panel for panel in panels if any(panel.lines.values())]
    if not shown:
        return
    figure = make_subplots(rows=(len(shown) + 1) // 2, cols=2, subplot_titles=[panel.title for panel in shown])
    names = list(dict.fromkeys(name for panel in shown for name in panel.lines))
    for place, panel in enumerate(shown):
        row, column = place // 2 + 1, place % 2 + 1
        for name, points in panel.lines.items():
            first = name not in {trace.name for trace in figure.data}
            line = go.Scatter(
                x=[x for x, _ in points],
                y=[y for _, y in points],
                name=name,
                legendgroup=name,
                showlegend=first,
                mode="lines+markers",
                line={"color": chart_colors.of(names.index(name))},
            )
            figure.add_trace(line, row=row, col=column)
        figure.update_xaxes(title_text=panel.x, row=row, col=column)
        figure.update_yaxes(title_text=panel.y, rangemode="tozero", row=row, col=column)
    figure.update_layout(title=title, template="plotly_white", height=420 * ((len(shown) + 1) // 2))
    figure.write_html(path, include_plotlyjs=True)


def memory(result: JobFolder) -> tuple[str, float | None]:
    """Return which memory a job's peak is of, GPU or CPU, and the peak in GiB; None where it was not measured."""
    for kind in ("gpu", "cpu"):
        if (peak := result.metric(f"memory/{kind}_peak_gib")) is not None:
            return kind.upper(), peak
    return "", None


def number(value: float | None, spec: str) -> str:
    """Format a figure, or the sign for one that was not measured."""
    return MISSING if value is None else format(value, spec)


def span(values: Sequence[float | None], spec: str) -> str:
    """Format the least and the largest of what was measured."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    low, high = format(min(known), spec), format(max(known), spec)
    return low if low == high else f"{low} - {high}"


def series(result: JobFolder) -> str:
    """Name what a job's figures belong to: model, quantisation, backend, and dummy weights where they are."""
    config = result.config
    backend, weights = str(config["backend"]["name"]), config["model"].get("weights")
    return f"{result.name} {backend}" + (" (dummy weights)" if weights == "dummy" else "")
