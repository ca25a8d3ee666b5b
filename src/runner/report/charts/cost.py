"""Quality against what 1,000 pages cost, where prices are known."""

from __future__ import annotations

import plotly.graph_objects as go

from runner.jobs.costs import PER_PAGES
from runner.report.charts import trade_off
from runner.report.model import Comparison


def draw(compared: Comparison) -> go.Figure | None:
    """Return a point per candidate and the Pareto front; None if fewer than two have a known cost."""
    return trade_off.against(compared, (PER_PAGES,), "chart.cost.title")
