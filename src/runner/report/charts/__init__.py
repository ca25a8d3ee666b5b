"""The report's charts. Each is a file with a function `draw(compared) -> Figure | None`, and a line in BUILT_IN.

A figure's `layout.title.text` becomes the chart's heading, `layout.meta["caption"]` the sentence under it. None means
that there is nothing to show. Another package adds a chart with lines in its pyproject.toml:

    [project.entry-points."runner.charts"]
    length = "their_package.length_chart:draw"
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from registries import Registry, RegistryError
from runner.report.model import Comparison

if TYPE_CHECKING:
    import plotly.graph_objects as go

log = logging.getLogger(__name__)
GROUP = "runner.charts"
# In the order of the page.
BUILT_IN: Mapping[str, str] = {
    "trade_off": "runner.report.charts.trade_off:draw",
    "cost": "runner.report.charts.cost:draw",
    "heat_map": "runner.report.charts.heat_map:draw",
    "risk_coverage": "runner.report.charts.risk_coverage:draw",
    "knee": "runner.report.charts.knee:draw",
    "latency": "runner.report.charts.latency:draw",
    "memory": "runner.report.charts.memory:draw",
    "concurrency": "runner.report.charts.concurrency:draw",
    "input_tokens": "runner.report.charts.input_tokens:draw",
    "judge": "runner.report.charts.judge:draw",
    "repeats": "runner.report.charts.repeats:draw",
}

REGISTRY = Registry("chart", GROUP, BUILT_IN)


def draw_all(compared: Comparison) -> Iterator[tuple[str, dict[str, Any] | None, str]]:
    """Yield (name, figure as plotly's JSON or None, error) for each chart. A failing chart doesn't stop the report."""
    for name in REGISTRY.names():
        try:
            figure: go.Figure | None = REGISTRY.load(name)(compared)
        except RegistryError as error:
            log.warning("report: %s", error)
            yield name, None, str(error)
            continue
        except Exception as error:  # charts of other packages may raise anything
            log.warning("report: the chart %s failed: %s", REGISTRY.find(name), error, exc_info=name in BUILT_IN)
            yield name, None, f"{type(error).__name__}: {error}"
            continue
        if figure is not None:
            drawn: dict[str, Any] = figure.to_plotly_json()
            drawn["layout"].pop("template", None)  # the page has its own, light and dark
            yield name, drawn, ""
