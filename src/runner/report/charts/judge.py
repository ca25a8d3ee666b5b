"""The judge's figures with intervals: the ratio of candidate to reference answer, or the score."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

# The first of these that a candidate has is drawn.
FIGURES = ("judge/ratio", "judge/score", "quality/judge_ratio", "quality/judge_score")


def draw(compared: Comparison) -> go.Figure | None:
    """Return a point with its interval per candidate, best on top."""
    name = next(
        (
            figure
            for figure in FIGURES
            if any(candidate.metric(figure) is not None for candidate in compared.candidates)
        ),
        None,
    )
    if name is None:
        return None
    say = compared.texts
    shown = [(candidate, value) for candidate in compared.candidates if (value := candidate.metric(name)) is not None]
    shown.sort(key=lambda pair: pair[1])
    names = [style.wrapped(candidate.label) for candidate, _ in shown]
    chart = style.figure(
        say("chart.judge.title", measure=say.name(name.removeprefix("quality/"))),
        say("chart.judge.caption"),
        height=110 + (16 + 16 * style.rows(names)) * len(shown),
        showlegend=False,
    )

    def number(figure: float) -> str:
        return say.number(figure, ".3f")

    for candidate, value in shown:
        low, high = candidate.interval(name) or (value, value)
        chart.add_scatter(
            x=[value],
            y=[style.wrapped(candidate.label)],
            error_x={"array": [high - value], "arrayminus": [value - low], "thickness": 2, "width": 5},
            mode="markers",
            marker={"color": style.color(compared, candidate), "size": 11, "symbol": style.symbol(compared, candidate)},
            hovertemplate=f"%{{y}}: {number(value)} {say.interval(number(low), number(high))}<extra></extra>",
        )
    chart.update_xaxes(title={"text": say.name(name.removeprefix("quality/"))})
    return chart
