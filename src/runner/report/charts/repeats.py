"""How much repeats of a question agree: shown where questions were asked several times."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

FIGURES = {"repeats/identical": "#2f6fdb", "repeats/similarity": "#12967f"}


def draw(compared: Comparison) -> go.Figure | None:
    """Return two bars per candidate: how often all answers are the same, and how similar they are on the whole."""
    say = compared.texts
    shown = [one for one in compared.candidates if one.metric("repeats/identical") is not None]
    if not shown:
        return None
    unique = ", ".join(f"{one.label} {say.number(one.metric('repeats/unique_answers') or 0.0, '.2f')}" for one in shown)
    names = [style.wrapped(one.label) for one in shown]
    made = style.figure(
        say("chart.repeats.title"),
        say("chart.repeats.caption", unique=unique),
        height=130 + (28 + 16 * style.rows(names)) * len(shown),
        barmode="group",
        legend={"orientation": "h", "y": -0.3},
    )
    for name, color in FIGURES.items():
        made.add_bar(
            y=names,
            x=[one.metric(name) for one in shown],
            name=say(f"chart.repeats.{name.rpartition('/')[2]}"),
            orientation="h",
            marker={"color": color},
            hovertemplate="%{x:.1%}<extra>%{fullData.name}</extra>",
        )
    made.update_xaxes(tickformat=",.0%", range=[0, 1.01])
    made.update_yaxes(autorange="reversed")
    return made
