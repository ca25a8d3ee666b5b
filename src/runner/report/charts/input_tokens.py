"""Latency by the length of the input, over all datasets of the report: what larger pictures and prompts cost."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

MOST_BINS = 12
FEWEST = 5  # answers in a bin: the median of fewer says little
# Inputs that differ by less than this say nothing about the influence of their length.
SPREAD = 1.25


def draw(compared: Comparison) -> go.Figure | None:
    """Return a line per candidate: input tokens against the median latency. Drawn once, with the first dataset."""
    everywhere = compared.others or (compared,)
    if compared is not everywhere[0]:
        return None
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    colors: dict[str, str] = {}
    for comparison in everywhere:
        for one in comparison.candidates:
            if one.metric("latency/p50_s") is not None:
                points[one.label] += [
                    (answer.prompt_tokens, answer.latency_s)
                    for answer in one.answers.values()
                    if answer.prompt_tokens is not None and answer.latency_s is not None
                ]
                colors.setdefault(one.label, style.color(comparison, one))
    lines = {label: binned(found) for label, found in points.items()}
    tokens = [x for line in lines.values() for x, _ in line]
    if not tokens or max(tokens) < SPREAD * min(tokens):
        return None
    say = compared.texts
    made = style.figure(
        say("chart.input_tokens.title"),
        say("chart.input_tokens.caption"),
        height=340 + style.room_for_legend(list(lines)),
        legend={"orientation": "h", "y": -0.25},
    )
    for label, line in lines.items():
        made.add_scatter(
            x=[x for x, _ in line],
            y=[y for _, y in line],
            mode="lines+markers",
            name=style.wrapped(label, style.LEGEND),
            line={"color": colors[label]},
            hovertemplate=f"%{{x:.0f}}: %{{y:.3g}} {say('unit.s')}<extra>%{{fullData.name}}</extra>",
        )
    made.update_xaxes(title={"text": say("chart.input_tokens.x")})
    made.update_yaxes(title={"text": say("chart.input_tokens.y")}, rangemode="tozero")
    return made


def binned(points: list[tuple[int, float]]) -> list[tuple[float, float]]:
    """Return medians of tokens and latency in bins of about equally many answers; equal tokens share a bin."""
    if not points:
        return []
    tokens = np.array([one for one, _ in points])
    latency = np.array([one for _, one in points])
    number = max(1, min(MOST_BINS, len(points) // FEWEST))
    edges = np.unique(np.quantile(tokens, np.linspace(0, 1, number + 1)))
    bins = np.clip(np.searchsorted(edges, tokens, side="right") - 1, 0, max(0, len(edges) - 2))
    return [
        (float(np.median(tokens[bins == one])), float(np.median(latency[bins == one])))
        for one in np.unique(bins)
        if (bins == one).sum() >= min(FEWEST, len(points))
    ]
