"""Latency by input length over all datasets of the report: what larger pictures and prompts cost."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.model import Comparison

MOST_BINS = 12
FEWEST = 5  # answers in a bin; the median of fewer would be too noisy
# Inputs that differ by less than this say nothing about the influence of their length.
SPREAD = 1.25


def draw(compared: Comparison) -> go.Figure | None:
    """Return a line per candidate: median latency by input tokens. It is drawn once, with the first dataset."""
    everywhere = compared.others or (compared,)
    if compared is not everywhere[0]:
        return None
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    colors: dict[str, str] = {}
    for comparison in everywhere:
        for candidate in comparison.candidates:
            if candidate.metric("latency/p50_s") is not None:
                points[candidate.label] += [
                    (answer.prompt_tokens, answer.latency_s)
                    for answer in candidate.answers.values()
                    if answer.prompt_tokens is not None and answer.latency_s is not None
                ]
                colors.setdefault(candidate.label, style.color(comparison, candidate))
    lines = {label: binned(measured) for label, measured in points.items()}
    tokens = [x for line in lines.values() for x, _ in line]
    if not tokens or max(tokens) < SPREAD * min(tokens):
        return None
    say = compared.texts
    chart = style.figure(
        say("chart.input_tokens.title"),
        say("chart.input_tokens.caption"),
        height=340 + style.room_for_legend(list(lines)),
        legend={"orientation": "h", "y": -0.25},
    )
    for label, line in lines.items():
        chart.add_scatter(
            x=[x for x, _ in line],
            y=[y for _, y in line],
            mode="lines+markers",
            name=style.wrapped(label, style.LEGEND),
            line={"color": colors[label]},
            hovertemplate=f"%{{x:.0f}}: %{{y:.3g}} {say('unit.s')}<extra>%{{fullData.name}}</extra>",
        )
    chart.update_xaxes(title={"text": say("chart.input_tokens.x")})
    chart.update_yaxes(title={"text": say("chart.input_tokens.y")}, rangemode="tozero")
    return chart


def binned(points: list[tuple[int, float]]) -> list[tuple[float, float]]:
    """Return (median tokens, median latency) of bins with about equally many answers; equal tokens share a bin."""
    if not points:
        return []
    tokens = np.array([count for count, _ in points])
    latency = np.array([seconds for _, seconds in points])
    number = max(1, min(MOST_BINS, len(points) // FEWEST))
    edges = np.unique(np.quantile(tokens, np.linspace(0, 1, number + 1)))
    bins = np.clip(np.searchsorted(edges, tokens, side="right") - 1, 0, max(0, len(edges) - 2))
    return [
        (float(np.median(tokens[bins == bin_number])), float(np.median(latency[bins == bin_number])))
        for bin_number in np.unique(bins)
        if (bins == bin_number).sum() >= min(FEWEST, len(points))
    ]
