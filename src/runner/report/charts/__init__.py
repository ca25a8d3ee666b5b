"""The report's charts. Each is a file with a function `draw(compared) -> Figure | None`, and a line in BUILT_IN.

A figure's `layout.title.text` becomes the chart's heading, `layout.meta["caption"]` the sentence under it. None means
that there is nothing to show. Another package adds a chart with lines in its pyproject.toml:

    [project.entry-points."runner.charts"]
    length = "their_package.length_chart:draw"
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runner.report.model import Comparison

if TYPE_CHECKING:
    import plotly.graph_objects as go

log = logging.getLogger(__name__)
GROUP = "runner.charts"
# In the order of the page.
BUILT_IN: Mapping[str, str] = {
    "trade_off": "runner.report.charts.trade_off:draw",
    "heat_map": "runner.report.charts.heat_map:draw",
    "latency": "runner.report.charts.latency:draw",
    "memory": "runner.report.charts.memory:draw",
    "concurrency": "runner.report.charts.concurrency:draw",
    "input_tokens": "runner.report.charts.input_tokens:draw",
    "judge": "runner.report.charts.judge:draw",
    "repeats": "runner.report.charts.repeats:draw",
}

Draw = Callable[[Comparison], "go.Figure | None"]


def known() -> dict[str, str]:
    """Return the target (`module:function`) of each chart by name: built-in ones, then those of other packages."""
    from importlib.metadata import entry_points

    return {
        **BUILT_IN,
        **{entry.name: entry.value for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)},
    }


def draw_all(compared: Comparison) -> Iterator[tuple[str, dict[str, Any] | None, str]]:
    """Yield (name, figure as plotly's JSON or None, error) for each chart. A failing chart doesn't stop the report."""
    for name, target in known().items():
        try:
            figure = _load(target)(compared)
        except Exception as error:  # charts of other packages may raise anything
            log.warning("report: the chart %r (%s) failed: %s", name, target, error, exc_info=name in BUILT_IN)
            yield name, None, f"{type(error).__name__}: {error}"
            continue
        if figure is not None:
            drawn: dict[str, Any] = figure.to_plotly_json()
            drawn["layout"].pop("template", None)  # the page has its own, light and dark
            yield name, drawn, ""


def _load(target: str) -> Draw:
    module, _, attribute = target.partition(":")
    loaded: Draw = getattr(importlib.import_module(module), attribute)
    return loaded
