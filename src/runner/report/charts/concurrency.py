"""Requests per second by how many are in flight, where that was swept: what a server gains from batching."""

from __future__ import annotations

from collections import defaultdict

import plotly.graph_objects as go

from runner.base import chart_colors
from runner.report.charts import style
from runner.report.model import Candidate, Comparison

RATE = "throughput/requests_per_s"


def draw(compared: Comparison) -> go.Figure | None:
    """Return a line for each set of candidates that differ in concurrency alone."""
    lines: dict[str, list[tuple[int, float]]] = defaultdict(list)
    colors: dict[str, str] = {}
    for one in compared.candidates:
        rate = one.metric(RATE)
        if rate is None or "concurrency" not in one.choice:
            continue
        name = _name(one)
        lines[name].append((int(one.choice["concurrency"]), rate))
        colors.setdefault(name, chart_colors.of(len(colors)))
    if not any(len(points) > 1 for points in lines.values()):
        return None
    say = compared.texts
    made = style.figure(
        say("chart.concurrency.title"),
        say("chart.concurrency.caption"),
        height=340 + style.room_for_legend(list(lines)),
        legend={"orientation": "h", "y": -0.25},
    )
    for name, points in lines.items():
        made.add_scatter(
            x=[concurrency for concurrency, _ in sorted(points)],
            y=[rate for _, rate in sorted(points)],
            mode="lines+markers",
            name=style.wrapped(name, style.LEGEND),
            line={"color": colors[name]},
            hovertemplate="%{x}: %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    swept = sorted({concurrency for points in lines.values() for concurrency, _ in points})
    made.update_xaxes(title={"text": say("chart.concurrency.x")}, type="log", tickvals=swept)
    made.update_yaxes(title={"text": say.name(RATE)}, rangemode="tozero")
    made.update_layout(showlegend=True)
    return made


def _name(one: Candidate) -> str:
    return " ".join(value for key, value in one.choice.items() if key != "concurrency" and value)
