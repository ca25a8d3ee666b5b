"""Memory by use: weights, KV cache, activations and graphs as far as the engine reports them; else only the peak."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import MEMORY, Comparison

PARTS = {"weights": "#2f6fdb", "kv_used": "#12967f", "activation": "#d9730d", "graphs": "#7a5fd0"}
PEAKS = ("memory/gpu_peak_gib", "memory/cpu_peak_gib")


def draw(compared: Comparison) -> go.Figure | None:
    """Return a bar per candidate with its parts stacked, and marks for measured totals."""
    say = compared.texts
    shown = [
        candidate for candidate in compared.candidates if any(candidate.metric(name) is not None for name in MEMORY)
    ]
    parts = [part for part in PARTS if any(candidate.metric(f"memory/{part}_gib") is not None for candidate in shown)]
    if not shown:
        return None
    names = [style.wrapped(candidate.label) for candidate in shown]
    unit = say("unit.GiB")
    chart = style.figure(
        say("chart.memory.title"),
        say("chart.memory.caption" if parts else "chart.memory.peak_only"),
        height=130 + (18 + 16 * style.rows(names)) * len(shown),
        barmode="stack",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"},
    )
    for part in parts:
        chart.add_bar(
            y=names,
            x=[candidate.metric(f"memory/{part}_gib") for candidate in shown],
            name=say(f"chart.memory.{part}"),
            orientation="h",
            marker={"color": PARTS[part]},
            hovertemplate=f"%{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    wholes = [name for name in MEMORY if any(candidate.metric(name) is not None for candidate in shown)]
    if not parts:
        chart.add_bar(
            y=names,
            x=[candidate.metric(wholes[0]) for candidate in shown],
            name=say.name(wholes[0]),
            orientation="h",
            marker={"color": [style.color(compared, candidate) for candidate in shown]},
            hovertemplate=f"%{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    for name, sign in zip(
        wholes if parts else wholes[1:], ("line-ns-open", "diamond-open", "x-thin-open"), strict=False
    ):
        chart.add_scatter(
            y=names,
            x=[candidate.metric(name) for candidate in shown],
            mode="markers",
            name=say.name(name),
            marker={"symbol": sign, "size": 12, "color": style.SOFT, "line": {"width": 2}},
            hovertemplate=f"%{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    chart.update_xaxes(title={"text": unit}, rangemode="tozero")
    chart.update_yaxes(autorange="reversed")
    chart.update_layout(showlegend=len(chart.data) > 1)
    return chart
