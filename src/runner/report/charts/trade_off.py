"""Quality against latency, or against another cost, with memory as the size of the point."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked

LARGEST = 24  # pixels, of the candidate that needs most memory
MOST_NAMES, LONGEST_NAME = 6, 22  # candidates, characters
ROOM = 1.3  # of the axis, for the names to the right of the points
GAP = "\u2002\u2002"  # between a point and its name


def draw(compared: Comparison) -> go.Figure | None:
    """Return quality against latency, or against memory where latency is not known."""
    return against(compared, ("latency/p95_s", compared.memory), "chart.trade_off.title")


def against(compared: Comparison, costs: Sequence[str | None], title: str) -> go.Figure | None:
    """Return a point per candidate with its interval, and the Pareto front as a dotted line.

    The horizontal axis is the first of `costs` that two candidates have; None if there is none.
    """
    measure, say = compared.measure, compared.texts
    across = next((name for name in costs if name and _known(compared, name)), None)
    if measure is None or across is None:
        return None
    quality = tracked(measure)
    shown = [
        candidate
        for candidate in compared.candidates
        if candidate.metric(quality) is not None and candidate.metric(across) is not None
    ]
    size = compared.memory if compared.memory != across else None
    better = say("chart.trade_off.up" if measure.better == "higher" else "chart.trade_off.down")
    labels = [candidate.label for candidate in shown]
    # Names are beside the points if there is room for them, else in a legend.
    beside = len(labels) <= MOST_NAMES and max(map(len, labels)) <= LONGEST_NAME
    chart = style.figure(
        say(title),
        say("chart.trade_off.caption", better=better)
        + (say("chart.trade_off.size", memory=say.name(size)) if size else ""),
        showlegend=not beside,
        height=380 + (0 if beside else style.room_for_legend(labels) + style.LEGEND_LINE),
        legend={"orientation": "h", "y": -0.25},
    )
    front = _front(
        [candidate for candidate in shown if candidate.ranked], quality, across, higher=measure.better == "higher"
    )
    chart.add_scatter(
        x=[candidate.metric(across) for candidate in front],
        y=[candidate.metric(quality) for candidate in front],
        mode="lines",
        line={"color": style.SOFT, "width": 1.5, "dash": "dot", "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )
    most = max(candidate.metric(size or "") or 0.0 for candidate in shown)
    for place, candidate in enumerate(sorted(shown, key=lambda candidate: candidate.metric(across) or 0.0)):
        # Names of neighbouring points go above and below in turn, so that they don't overlap.
        _point(chart, compared, candidate, (across, quality, size), most, above=place % 2 == 0, beside=beside)
    units = {"latency": "s", "cost": "USD"}
    unit = f", {say('unit.' + units.get(across.partition('/')[0], 'GiB'))}"
    chart.update_xaxes(
        title={"text": say.name(across) + unit},
        range=[0, (ROOM if beside else 1.08) * max(candidate.metric(across) or 0.0 for candidate in shown)],
    )
    chart.update_yaxes(title={"text": say.name(measure.name)}, **style.percent(quality))
    return chart


def _known(compared: Comparison, name: str) -> bool:
    return (
        sum(
            candidate.metric(name) is not None and compared.quality(candidate) is not None
            for candidate in compared.candidates
        )
        > 1
    )


def _point(
    chart: go.Figure,
    compared: Comparison,
    candidate: Candidate,
    names: tuple[str, str, str | None],
    most: float,
    *,
    above: bool,
    beside: bool,
) -> None:
    across, quality, size = names
    x, y, need = candidate.metric(across), candidate.metric(quality), candidate.metric(size) if size else None
    assert x is not None and y is not None
    low, high = candidate.interval(quality) or (y, y)
    lines = [style.clean(candidate.label), *(f"{compared.texts.name(name.removeprefix('quality/'))}: "
             f"{figure(name, candidate.metric(name), compared.texts)}" for name in names if name)]  # fmt: skip
    chart.add_scatter(
        x=[x],
        y=[y],
        error_y={"array": [high - y], "arrayminus": [y - low], "thickness": 1.5, "width": 4},
        mode="markers+text" if beside else "markers",
        name=style.wrapped(candidate.label, style.LEGEND),
        text=[f"{GAP}{style.clean(candidate.label)}{GAP}"],
        textposition="top right" if above else "bottom right",
        textfont={"color": style.color(compared, candidate)},
        marker={
            "color": style.color(compared, candidate),
            "symbol": style.symbol(compared, candidate),
            "size": max(8.0, LARGEST * (need / most) ** 0.5) if need and most else 12,
            "opacity": 0.85,
        },
        hovertemplate="<br>".join(lines) + "<extra></extra>",
        cliponaxis=False,
    )


def _front(shown: list[Candidate], quality: str, across: str, *, higher: bool) -> list[Candidate]:
    """Return the candidates that no other beats in both figures (the Pareto front), from left to right."""
    front: list[Candidate] = []
    sign = 1 if higher else -1
    for candidate in sorted(
        shown, key=lambda candidate: (candidate.metric(across) or 0.0, -sign * (candidate.metric(quality) or 0.0))
    ):
        if not front or sign * (candidate.metric(quality) or 0.0) > sign * (front[-1].metric(quality) or 0.0):
            front.append(candidate)
    return front
