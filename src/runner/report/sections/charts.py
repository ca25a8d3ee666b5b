"""The charts. Plotly draws them in the browser from figures that are embedded in the page."""

from __future__ import annotations

from typing import Any

from runner.report import charts
from runner.report.decision import Decision
from runner.report.model import Comparison


def context(compared: Comparison, decision: Decision) -> dict[str, Any] | None:  # noqa: ARG001 - as all sections
    """Return headings and captions for the template, and figures for the script."""
    shown, figures, broken = [], [], []
    for name, figure, error in charts.draw_all(compared):
        if figure is None:
            broken.append(compared.texts("chart.broken", name=name, error=error))
            continue
        layout = figure["layout"]
        title = (layout.pop("title", None) or {}).get("text") or name
        meta = layout.pop("meta", None) or {}
        shown.append({"name": name, "title": title, "caption": meta.get("caption", ""),
                      "height": layout.get("height", 360), "min_width": meta.get("min_width", 0)})  # fmt: skip
        layout.setdefault("separators", compared.texts.separators)
        figures.append(figure)
    if not shown and not broken:
        return None
    return {"charts": shown, "broken": broken, "data": {"charts": figures} if figures else {}}
