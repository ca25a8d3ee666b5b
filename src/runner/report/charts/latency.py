"""How latencies are distributed: the share of answers that came within a time."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

POINTS = 101  # of each line; the answers themselves would be megabytes


def draw(compared: Comparison) -> go.Figure | None:
    """Return a line per candidate: seconds against the share of answers that took no longer."""
    say = compared.texts
    shares = np.linspace(0, 1, POINTS)
    lines = []
    for one in compared.candidates:
        latencies = [answer.latency_s for answer in one.answers.values() if answer.latency_s is not None]
        # Of answers taken over from other conditions the job reports no latency, and neither does the chart.
        if len(latencies) > 1 and one.metric("latency/p50_s") is not None:
            lines.append((one, np.quantile(np.array(latencies), shares)))
    if not lines:
        return None
    made = style.figure(
        say("chart.latency.title"),
        say("chart.latency.caption"),
        height=360 + style.room_for_legend([one.label for one, _ in lines]),
        legend={"orientation": "h", "y": -0.25},
    )
    for one, quantiles in lines:
        made.add_scatter(
            x=[round(float(value), 5) for value in quantiles],
            y=[round(float(share), 3) for share in shares],
            mode="lines",
            name=style.wrapped(one.label, style.LEGEND),
            line={"color": style.color(compared, one), "width": 2},
            hovertemplate=f"%{{y:.0%}}: %{{x:.3g}} {say('unit.s')}<extra>%{{fullData.name}}</extra>",
        )
    longest = max(float(quantiles[-1]) for _, quantiles in lines)
    usual = max(float(quantiles[int(0.99 * (POINTS - 1))]) for _, quantiles in lines)
    # One slow answer must not press all lines against the axis.
    made.update_xaxes(title={"text": say("chart.latency.x")}, range=[0, min(longest, 1.5 * usual) * 1.02])
    made.update_yaxes(title={"text": say("chart.latency.y")}, tickformat=",.0%", range=[0, 1.01])
    return made
