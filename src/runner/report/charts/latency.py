"""The distribution of latencies: the share of answers that arrived within a time."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

POINTS = 101  # of each line; a point for each answer would take megabytes


def draw(compared: Comparison) -> go.Figure | None:
    """Return a line per candidate: the share of answers by the seconds within which they arrived."""
    say = compared.texts
    shares = np.linspace(0, 1, POINTS)
    lines = []
    for candidate in compared.candidates:
        latencies = [answer.latency_s for answer in candidate.answers.values() if answer.latency_s is not None]
        # If answers were reused from other conditions, the job reports no latency, and neither does the chart.
        if len(latencies) > 1 and candidate.metric("latency/p50_s") is not None:
            lines.append((candidate, np.quantile(np.array(latencies), shares)))
    if not lines:
        return None
    chart = style.figure(
        say("chart.latency.title"),
        say("chart.latency.caption"),
        height=360 + style.room_for_legend([candidate.label for candidate, _ in lines]),
        legend={"orientation": "h", "y": -0.25},
    )
    for candidate, quantiles in lines:
        chart.add_scatter(
            x=[round(float(value), 5) for value in quantiles],
            y=[round(float(share), 3) for share in shares],
            mode="lines",
            name=style.wrapped(candidate.label, style.LEGEND),
            line={"color": style.color(compared, candidate), "width": 2},
            hovertemplate=f"%{{y:.0%}}: %{{x:.3g}} {say('unit.s')}<extra>%{{fullData.name}}</extra>",
        )
    longest = max(float(quantiles[-1]) for _, quantiles in lines)
    usual = max(float(quantiles[int(0.99 * (POINTS - 1))]) for _, quantiles in lines)
    # The range is limited so that a single slow answer does not squeeze all lines against the axis.
    chart.update_xaxes(title={"text": say("chart.latency.x")}, range=[0, min(longest, 1.5 * usual) * 1.02])
    chart.update_yaxes(title={"text": say("chart.latency.y")}, tickformat=",.0%", range=[0, 1.01])
    return chart
