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
    made = style.figure(
        say("chart.judge.title", measure=say.name(name.removeprefix("quality/"))),
        say("chart.judge.caption"),
        height=110 + 32 * len(shown),
        showlegend=False,
    )
    for one, value in shown:
        low, high = one.interval(name) or (value, value)
        made.add_scatter(
            x=[value],
            y=[style.clean(one.label)],
            error_x={"array": [high - value], "arrayminus": [value - low], "thickness": 2, "width": 5},
            mode="markers",
            marker={"color": style.color(compared, one), "size": 11, "symbol": style.symbol(compared, one)},
            hovertemplate=f"%{{y}}: {value:.3f} [{low:.3f}, {high:.3f}]<extra></extra>",
        )
    made.update_xaxes(title={"text": say.name(name.removeprefix("quality/"))})
    return made
