"""What a judge said, with intervals: its ratio of candidate to reference, or its score."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

# The first that some candidate has.
FIGURES = ("judge/ratio", "judge/score", "quality/judge_ratio", "quality/judge_score")


def draw(compared: Comparison) -> go.Figure | None:
    """Return a point with its interval per candidate, best on top."""
    name = next((one for one in FIGURES if any(c.metric(one) is not None for c in compared.candidates)), None)
    if name is None:
        return None
    say = compared.texts
    shown = [(one, value) for one in compared.candidates if (value := one.metric(name)) is not None]
    shown.sort(key=lambda pair: pair[1])
    names = [style.wrapped(one.label) for one, _ in shown]
    made = style.figure(
        say("chart.judge.title", measure=say.name(name.removeprefix("quality/"))),
        say("chart.judge.caption"),
        height=110 + (16 + 16 * style.rows(names)) * len(shown),
        showlegend=False,
    )

    def number(figure: float) -> str:
        return say.number(figure, ".3f")

    for one, value in shown:
        low, high = one.interval(name) or (value, value)
        made.add_scatter(
            x=[value],
            y=[style.wrapped(one.label)],
            error_x={"array": [high - value], "arrayminus": [value - low], "thickness": 2, "width": 5},
            mode="markers",
            marker={"color": style.color(compared, one), "size": 11, "symbol": style.symbol(compared, one)},
            hovertemplate=f"%{{y}}: {number(value)} {say.interval(number(low), number(high))}<extra></extra>",
        )
    made.update_xaxes(title={"text": say.name(name.removeprefix("quality/"))})
    return made
