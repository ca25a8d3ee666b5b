"""The knee: answers in time by the rate that was offered, and the percentile that the objective limits below it."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Candidate, Comparison

MARKS = {"holds": "circle", "fails": "x"}
TICKS = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]  # of seconds, on a logarithmic axis


def draw(compared: Comparison) -> go.Figure | None:
    """Return two lines for each candidate whose highest rate was looked for; None if there is none."""
    searched = [
        (one, found)
        for one in compared.candidates
        if one.finished and (found := one.result.capacity) and found["steps"]
    ]
    if not searched:
        return None
    say = compared.texts
    labels = [candidate.label for candidate, _ in searched]
    chart = style.figure(
        say("chart.knee.title"),
        say("chart.knee.caption"),
        height=520 + style.room_for_legend(labels),
        legend={"orientation": "h", "y": -0.14},
    )
    highest = max(step["requests_per_s"] for _, found in searched for step in found["steps"])
    chart.add_scatter(
        x=[0, highest],
        y=[0, highest],
        mode="lines",
        line={"color": style.SOFT, "dash": "dot", "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    limited = _shown(searched[0][1])
    for candidate, found in searched:
        _lines(chart, compared, candidate, found, limited)
    chart.add_hline(y=searched[0][1]["objective"][limited], line={"color": style.SOFT, "dash": "dot"}, yref="y2")
    time = limited.removesuffix("_s").replace("/", " ").replace("_", " ")
    chart.update_layout(yaxis2={"domain": [0, 0.46], "automargin": True})
    chart.update_layout(
        showlegend=True,
        xaxis={"title": {"text": say("chart.knee.x")}, "rangemode": "tozero", "anchor": "y2"},
        yaxis={"title": {"text": say("chart.knee.goodput")}, "rangemode": "tozero", "domain": [0.54, 1]},
        yaxis2={"title": {"text": f"{time}, {say('unit.s')}"}, "type": "log", "tickvals": TICKS},
    )
    return chart


def _shown(found: dict[str, Any]) -> str:
    """Return the limit whose percentile is drawn: the one that is kept worst at the lowest rate that does not hold."""
    failing = [step["decisive_limit"] for step in found["steps"] if step["verdict"] == "fails"]
    return str(failing[0]) if failing else next(iter(found["objective"]))


def _lines(chart: go.Figure, compared: Comparison, candidate: Candidate, found: dict[str, Any], limited: str) -> None:
    rates = [step["requests_per_s"] for step in found["steps"]]
    look = {
        "x": rates,
        "mode": "lines+markers",
        "name": style.wrapped(candidate.label, style.LEGEND),
        "legendgroup": candidate.label,
        "line": {"color": style.color(compared, candidate)},
        "marker": {"symbol": [MARKS[step["verdict"]] for step in found["steps"]], "size": 9},
    }
    hover = "%{x:.3g}/s: %{y:.3g}"
    chart.add_scatter(
        **look,
        y=[step["goodput_per_s"] for step in found["steps"]],
        hovertemplate=f"{hover}/s<extra>%{{fullData.name}}</extra>",
    )
    chart.add_scatter(
        **look,
        y=[step["percentiles_s"].get(limited) for step in found["steps"]],
        yaxis="y2",
        showlegend=False,
        hovertemplate=f"{hover} s<extra>%{{fullData.name}}</extra>",
    )
