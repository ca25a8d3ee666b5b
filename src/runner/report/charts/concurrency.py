"""Requests per second by concurrency, if that was swept: what a server gains from batching."""

from __future__ import annotations

from collections import defaultdict

import plotly.graph_objects as go

from runner.base import chart_colors
from runner.report.charts import style
from runner.report.model import Candidate, Comparison

RATE = "throughput/requests_per_s"


def draw(compared: Comparison) -> go.Figure | None:
    """Return a line for each set of candidates that differ only in concurrency."""
    lines: dict[str, list[tuple[int, float]]] = defaultdict(list)
    colors: dict[str, str] = {}
    for candidate in compared.candidates:
        rate = candidate.metric(RATE)
        if rate is None or "concurrency" not in candidate.choice:
            continue
        name = _name(candidate)
        lines[name].append((int(candidate.choice["concurrency"]), rate))
        colors.setdefault(name, chart_colors.of(len(colors)))
    if not any(len(points) > 1 for points in lines.values()):
        return None
    say = compared.texts
    chart = style.figure(
        say("chart.concurrency.title"),
        say("chart.concurrency.caption"),
        height=340 + style.room_for_legend(list(lines)),
        legend={"orientation": "h", "y": -0.25},
    )
    for name, points in lines.items():
        chart.add_scatter(
            x=[concurrency for concurrency, _ in sorted(points)],
            y=[rate for _, rate in sorted(points)],
            mode="lines+markers",
            name=style.wrapped(name, style.LEGEND),
            line={"color": colors[name]},
            hovertemplate="%{x}: %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    swept = sorted({concurrency for points in lines.values() for concurrency, _ in points})
    chart.update_xaxes(title={"text": say("chart.concurrency.x")}, type="log", tickvals=swept)
    chart.update_yaxes(title={"text": say.name(RATE)}, rangemode="tozero")
    chart.update_layout(showlegend=True)
    return chart


def _name(candidate: Candidate) -> str:
    return " ".join(value for key, value in candidate.choice.items() if key != "concurrency" and value)
