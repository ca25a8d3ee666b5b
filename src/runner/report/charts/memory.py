"""Where memory goes: weights, KV cache, activations, graphs as far as the engine tells them; else the peak alone."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import MEMORY, Comparison

PARTS = {"weights": "#2f6fdb", "kv_used": "#12967f", "activation": "#d9730d", "graphs": "#7a5fd0"}
PEAKS = ("memory/gpu_peak_gib", "memory/cpu_peak_gib")


def draw(compared: Comparison) -> go.Figure | None:
    """Return a bar per candidate, its parts stacked, and marks for what was measured as a whole."""
    say = compared.texts
    shown = [one for one in compared.candidates if any(one.metric(name) is not None for name in MEMORY)]
    parts = [part for part in PARTS if any(one.metric(f"memory/{part}_gib") is not None for one in shown)]
    if not shown:
        return None
    names = [style.wrapped(one.label) for one in shown]
    unit = say("unit.GiB")
    made = style.figure(
        say("chart.memory.title"),
        say("chart.memory.caption" if parts else "chart.memory.peak_only"),
        height=130 + (18 + 16 * style.rows(names)) * len(shown),
        barmode="stack",
        legend={"orientation": "h", "y": -0.35},
    )
    for part in parts:
        made.add_bar(
            y=names,
            x=[one.metric(f"memory/{part}_gib") for one in shown],
            name=say(f"chart.memory.{part}"),
            orientation="h",
            marker={"color": PARTS[part]},
            hovertemplate=f"%{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    wholes = [name for name in MEMORY if any(one.metric(name) is not None for one in shown)]
    if not parts:
        made.add_bar(
            y=names,
            x=[one.metric(wholes[0]) for one in shown],
            name=say.name(wholes[0]),
            orientation="h",
            marker={"color": [style.color(compared, one) for one in shown]},
            hovertemplate=f"%{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    for name, sign in zip(
        wholes if parts else wholes[1:], ("line-ns-open", "diamond-open", "x-thin-open"), strict=False
    ):
        made.add_scatter(
            y=names,
            x=[one.metric(name) for one in shown],
            mode="markers",
            name=say.name(name),
            marker={"symbol": sign, "size": 12, "color": style.SOFT, "line": {"width": 2}},
            hovertemplate=f"%{{x:.2f}} {unit}<extra>%{{fullData.name}}</extra>",
        )
    made.update_xaxes(title={"text": unit}, rangemode="tozero")
    made.update_yaxes(autorange="reversed")
    made.update_layout(showlegend=len(made.data) > 1)
    return made
