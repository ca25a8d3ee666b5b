"""How much the answers to repeated questions agree. Shown if questions were asked several times."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

FIGURES = {"repeats/identical": "#2f6fdb", "repeats/similarity": "#12967f"}


def draw(compared: Comparison) -> go.Figure | None:
    """Return two bars per candidate: the share of questions with identical answers, and the mean similarity."""
    say = compared.texts
    shown = [candidate for candidate in compared.candidates if candidate.metric("repeats/identical") is not None]
    if not shown:
        return None
    unique = ", ".join(
        f"{candidate.label} {say.number(candidate.metric('repeats/unique_answers') or 0.0, '.2f')}"
        for candidate in shown
    )
    names = [style.wrapped(candidate.label) for candidate in shown]
    chart = style.figure(
        say("chart.repeats.title"),
        say("chart.repeats.caption", unique=unique),
        height=130 + (28 + 16 * style.rows(names)) * len(shown),
        barmode="group",
        legend={"orientation": "h", "y": -0.3},
    )
    for name, color in FIGURES.items():
        chart.add_bar(
            y=names,
            x=[candidate.metric(name) for candidate in shown],
            name=say(f"chart.repeats.{name.rpartition('/')[2]}"),
            orientation="h",
            marker={"color": color},
            hovertemplate="%{x:.1%}<extra>%{fullData.name}</extra>",
        )
    chart.update_xaxes(tickformat=",.0%", range=[0, 1.01])
    chart.update_yaxes(autorange="reversed")
    return chart
