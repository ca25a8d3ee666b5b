"""Shared by all charts: a colour and a symbol per candidate, and an empty figure with heading and caption."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from runner.base import chart_colors
from runner.report.figures import is_percent
from runner.report.model import Candidate, Comparison

SYMBOLS = ("circle", "diamond", "square", "triangle-up")
SOFT = "#5b6570"
LEGEND_WIDTH, LEGEND_LINE = 430, 20  # pixels
LEGEND = 34  # characters in a line of a legend: what a phone shows


def color(compared: Comparison, candidate: Candidate) -> str:
    """Return a candidate's colour, the same as in the table; the page has others in dark (static/charts.js)."""
    return chart_colors.of(compared.color(candidate))


def symbol(compared: Comparison, candidate: Candidate) -> str:
    """Return a candidate's symbol. Beyond ten candidates the colours repeat, and the symbols differ."""
    return SYMBOLS[compared.color(candidate) // len(chart_colors.COLORS) % len(SYMBOLS)]


def figure(title: str, caption: str, **layout: Any) -> go.Figure:
    """Return an empty figure; `title` and `caption` are shown by the page, above the chart."""
    margin = {"l": 8, "r": 12, "t": 8, "b": 8}
    # The page brings its own template. Without one here plotly would read and check its default, 45 ms a process.
    all_layout = {"title": {"text": title}, "meta": {"caption": caption}, "margin": margin, "template": {}, **layout}
    chart = go.Figure(layout=all_layout)
    chart.update_xaxes(automargin=True, zeroline=False)
    chart.update_yaxes(automargin=True, zeroline=False)
    return chart


def percent(name: str) -> dict[str, Any]:
    """Return the axis settings for this metric: percent if it is a share."""
    return {"tickformat": ",.0%"} if is_percent(name) else {}


def wrapped(text: str, width: int = 22) -> str:
    """Return untrusted text for plotly, wrapped to `width` characters between words or after _ - . and /."""
    lines = [""]
    for piece in re.findall(r"[^\s_\-./]*(?:[_\-./]+|\s+|$)", text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "<br>".join(clean(line.strip()) for line in lines)


def rows(labels: Sequence[str]) -> int:
    """Return the number of lines of the tallest wrapped label."""
    return max((label.count("<br>") + 1 for label in labels), default=1)


def room_for_legend(labels: Sequence[str]) -> int:
    """Return the height in pixels that a legend needs beyond its first line, in a chart of the page's usual width."""
    widest = max((len(label) for label in labels), default=1)
    columns = max(1, int(LEGEND_WIDTH / (7 * min(widest, LEGEND) + 45)))
    return LEGEND_LINE * (-(-len(labels) // columns) * rows([wrapped(label, LEGEND) for label in labels]) - 1)


def clean(text: str) -> str:
    """Escape untrusted text for plotly, which interprets some HTML (<b>, <a href>) in labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
