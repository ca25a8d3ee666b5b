"""Quality by document class and field, to see where a candidate is weak."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.report.charts import style
from runner.report.figures import figure
from runner.report.model import Comparison, tracked

MOST_ROWS = 40
LONGEST = 100  # characters of a row's name
LINE, COLUMN = 12, 98  # characters in a line of a column's heading, its pixels
ROWS_WIDTH = 190  # pixels of the names on the left


def draw(compared: Comparison) -> go.Figure | None:
    """Return a row per class and field and a column per candidate; None with fewer than two rows."""
    measure, say = compared.measure, compared.texts
    if measure is None:
        return None
    by_candidate = {
        candidate: {
            (figures["doc_class"], figures["field"]): figures
            for figures in candidate.result.aggregates
            if figures["measure"] == measure.name and figures["doc_class"] is not None and figures["value"] is not None
        }
        for candidate in compared.candidates
    }
    groups = sorted(
        {group for figures in by_candidate.values() for group in figures}, key=lambda group: (group[0], group[1] or "")
    )
    if any(name for _, name in groups):
        groups = [group for group in groups if group[1]]  # the rows of fields make those of whole classes redundant
    if len(groups) < 2:
        return None
    shown, name = groups[:MOST_ROWS], tracked(measure)
    values = [[_value(by_candidate[candidate].get(group)) for candidate in compared.candidates] for group in shown]
    counts = [
        [(by_candidate[candidate].get(group) or {}).get("n", 0) for candidate in compared.candidates] for group in shown
    ]
    left_out = say("chart.heat_map.left_out", n=len(groups) - len(shown)) if len(groups) > len(shown) else ""
    columns = [style.wrapped(candidate.label, LINE) for candidate in compared.candidates]
    rows = [_row(doc_class, field_name) for doc_class, field_name in shown]
    chart = style.figure(
        say("chart.heat_map.title", measure=say.name(measure.name)),
        say("chart.heat_map.caption") + left_out,
        height=80 + 15 * style.rows(columns) + max(30, 6 + 15 * style.rows(rows)) * len(shown),
    )
    # Below this width figures and headings would overlap, so the page scrolls the chart instead.
    chart.update_layout(meta={**chart.layout.meta, "min_width": ROWS_WIDTH + COLUMN * len(columns)})
    chart.add_heatmap(
        z=values,
        x=columns,
        y=rows,
        text=[[figure(name, value, say, unit=False) for value in row] for row in values],
        texttemplate="%{text}",
        textfont={"color": "#1b1f23"},  # dark on these pale colours, in light and dark mode
        customdata=counts,
        hovertemplate="%{y}<br>%{x}: %{text}<br>n = %{customdata}<extra></extra>",
        colorscale=[[0, "#e99a8d"], [0.5, "#f3e3ae"], [1, "#97d0aa"]],
        reversescale=measure.better == "lower",
        showscale=False,
        xgap=2,
        ygap=2,
        **({"zmin": 0, "zmax": 1} if measure.high == 1 else {}),
    )
    chart.update_yaxes(autorange="reversed", showgrid=False)
    chart.update_xaxes(side="top", tickangle=0, showgrid=False)
    return chart


def _value(figures: object) -> float | None:
    return figures["value"] if isinstance(figures, dict) else None


def _row(doc_class: str, field_name: str | None) -> str:
    text = " / ".join(part for part in (doc_class, field_name) if part)
    return style.wrapped(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…", 26)
