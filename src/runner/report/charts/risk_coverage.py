"""Risk by coverage: how many of the most confident answers are wrong, and which share may pass without a person."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from metrics.selective import risk_by_coverage
from runner.report import automation
from runner.report.charts import style
from runner.report.model import Candidate, Comparison
from runner.scoring.confidence import GROUP, READ, items, percent

POINTS = 200  # of each line
_FEWEST = 10  # answers at the left end: the share of wrong ones among fewer says nothing


def draw(compared: Comparison) -> go.Figure | None:
    """Return a line per candidate, with a mark at each share of answers that may pass; None without confidences."""
    shown = [candidate for candidate in compared.candidates if candidate.metric(f"{GROUP}/measured")]
    if not shown:
        return None
    say = compared.texts
    chart = style.figure(
        say("chart.risk_coverage.title"),
        say("chart.risk_coverage.caption"),
        height=360 + style.room_for_legend([candidate.label for candidate in shown]),
        legend={"orientation": "h", "y": -0.25},
    )
    for candidate in shown:
        coverage, risk = _line(compared, candidate)
        color, name = style.color(compared, candidate), style.wrapped(candidate.label, style.LEGEND)
        chart.add_scatter(
            x=coverage,
            y=risk,
            mode="lines",
            name=name,
            line={"color": color, "width": 2},
            hovertemplate="%{x:.0%}: %{y:.1%}<extra>%{fullData.name}</extra>",
        )
        marks = [
            (share, at)
            for at in automation.risks(candidate)
            if (share := candidate.metric(f"{GROUP}/pass_at_{percent(at)}"))
        ]
        chart.add_scatter(
            x=[share for share, _ in marks],
            y=[at for _, at in marks],
            mode="markers",
            name=name,
            showlegend=False,
            marker={"color": color, "size": 11, "symbol": style.symbol(compared, candidate)},
            hovertemplate=say("chart.risk_coverage.mark", share="%{x:.0%}", risk="%{y:.1%}")
            + "<extra>%{fullData.name}</extra>",
        )
    for at in sorted({at for candidate in shown for at in automation.risks(candidate)}):
        chart.add_hline(y=at, line={"color": style.SOFT, "width": 1, "dash": "dot"})
    chart.update_xaxes(title={"text": say("chart.risk_coverage.x")}, tickformat=",.0%", range=[0, 1.01])
    chart.update_yaxes(title={"text": say("chart.risk_coverage.y")}, tickformat=",.0%", rangemode="tozero")
    return chart


def _line(compared: Comparison, candidate: Candidate) -> tuple[list[float], list[float]]:
    """Return coverage and risk of a candidate's answers; coverage is of all of them, those not measured included."""
    documents = {key: compared.samples[key[0]].document for key in candidate.answers}
    failed = {key for key, answer in candidate.answers.items() if answer.text is None}
    found, _ = items(candidate.result.scores(*READ), documents, failed)
    if "" not in found:
        return [], []
    answers = found[""]
    coverage, risk = risk_by_coverage(answers)
    coverage = coverage * len(coverage) / len(answers)
    first = min(_FEWEST, len(coverage)) - 1
    if not len(coverage):
        return [], []
    kept = np.unique(np.linspace(first, len(coverage) - 1, POINTS).astype(int))
    return [round(float(coverage[at]), 4) for at in kept], [round(float(risk[at]), 4) for at in kept]
