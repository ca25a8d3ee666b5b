"""Quality against latency, with memory as the size of the point: who is worth their price."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked

LARGEST = 24  # pixels, of the candidate that needs most memory
MOST_NAMES, LONGEST_NAME = 6, 22  # candidates, characters
ROOM = 1.3  # of the axis, for the names to the right of the points
GAP = "\u2002\u2002"  # between a point and its name


def draw(compared: Comparison) -> go.Figure | None:
    """Return a point per candidate with its interval, and the line of those that none beats in both respects."""
    measure, say = compared.measure, compared.texts
    across = next((name for name in ("latency/p95_s", compared.memory) if name and _known(compared, name)), None)
    if measure is None or across is None:
        return None
    quality = tracked(measure)
    shown = [one for one in compared.candidates if one.metric(quality) is not None and one.metric(across) is not None]
    size = compared.memory if compared.memory != across else None
    better = say("chart.trade_off.up" if measure.better == "higher" else "chart.trade_off.down")
    labels = [one.label for one in shown]
    # Names beside the points, where there is room for them; else in a legend.
    beside = len(labels) <= MOST_NAMES and max(map(len, labels)) <= LONGEST_NAME
    made = style.figure(
        say("chart.trade_off.title"),
        say("chart.trade_off.caption", better=better)
        + (say("chart.trade_off.size", memory=say.name(size)) if size else ""),
        showlegend=not beside,
        height=380 + (0 if beside else style.room_for_legend(labels) + style.LEGEND_LINE),
        legend={"orientation": "h", "y": -0.25},
    )
    front = _front(shown, quality, across, higher=measure.better == "higher")
    made.add_scatter(
        x=[one.metric(across) for one in front],
        y=[one.metric(quality) for one in front],
        mode="lines",
        line={"color": style.SOFT, "width": 1.5, "dash": "dot", "shape": "hv"},
        hoverinfo="skip",
        showlegend=False,
    )
    most = max(one.metric(size or "") or 0.0 for one in shown)
    for place, one in enumerate(sorted(shown, key=lambda one: one.metric(across) or 0.0)):
        # Neighbours have their names on different sides, so that these don't cover each other.
        _point(made, compared, one, (across, quality, size), most, above=place % 2 == 0, beside=beside)
    unit = f", {say('unit.s')}" if across.startswith("latency") else f", {say('unit.GiB')}"
    made.update_xaxes(
        title={"text": say.name(across) + unit},
        range=[0, (ROOM if beside else 1.08) * max(one.metric(across) or 0.0 for one in shown)],
    )
    made.update_yaxes(title={"text": say.name(measure.name)}, **style.percent(quality))
    return made


def _known(compared: Comparison, name: str) -> bool:
    return sum(one.metric(name) is not None and compared.quality(one) is not None for one in compared.candidates) > 1


def _point(
    made: go.Figure,
    compared: Comparison,
    one: Candidate,
    names: tuple[str, str, str | None],
    most: float,
    *,
    above: bool,
    beside: bool,
) -> None:
    across, quality, size = names
    x, y, need = one.metric(across), one.metric(quality), one.metric(size) if size else None
    assert x is not None and y is not None
    low, high = one.interval(quality) or (y, y)
    lines = [style.clean(one.label), *(f"{compared.texts.name(name.removeprefix('quality/'))}: "
             f"{figure(name, one.metric(name), compared.texts)}" for name in names if name)]  # fmt: skip
    made.add_scatter(
        x=[x],
        y=[y],
        error_y={"array": [high - y], "arrayminus": [y - low], "thickness": 1.5, "width": 4},
        mode="markers+text" if beside else "markers",
        name=style.wrapped(one.label, style.LEGEND),
        text=[f"{GAP}{style.clean(one.label)}{GAP}"],
        textposition="top right" if above else "bottom right",
        textfont={"color": style.color(compared, one)},
        marker={
            "color": style.color(compared, one),
            "symbol": style.symbol(compared, one),
            "size": max(8.0, LARGEST * (need / most) ** 0.5) if need and most else 12,
            "opacity": 0.85,
        },
        hovertemplate="<br>".join(lines) + "<extra></extra>",
        cliponaxis=False,
    )


def _front(shown: list[Candidate], quality: str, across: str, *, higher: bool) -> list[Candidate]:
    """Return those that no other beats in both figures, from left to right."""
    front: list[Candidate] = []
    sign = 1 if higher else -1
    for one in sorted(shown, key=lambda one: (one.metric(across) or 0.0, -sign * (one.metric(quality) or 0.0))):
        if not front or sign * (one.metric(quality) or 0.0) > sign * (front[-1].metric(quality) or 0.0):
            front.append(one)
    return front
