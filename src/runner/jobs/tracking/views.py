"""A view of a sweep in MLflow's UI: its runs only, the columns that are compared by, and charts of what decides.

MLflow keeps a view that somebody shares as a tag of the experiment and opens it by `viewStateShareKey`; here the tag is
written for each sweep. Its format is MLflow's own and not documented (seen in 3.17): tests/browser opens it for real. A
version that doesn't know it shows the plain page.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "mlflow.sharedViewState."
# Measures that a reader looks for first; the first two that were measured are shown.
QUALITY = (
    "judge/ratio", "judge/score", "quality/mws_overall", "quality/page_overall", "quality/kie_f1",
    "quality/exact_match", "quality/cer", "quality/anls", "quality/rougeL",
)  # fmt: skip
# One of each row.
COSTS = (
    ("latency/p95_s",),
    ("throughput/output_tokens_per_s",),
    ("cost/usd_per_1000_pages",),
    ("memory/needed_gib", "memory/gpu_peak_gib", "memory/cpu_peak_gib"),
)
ALWAYS = ("model", "quant")
MOST_COLUMNS = 4
COLUMN_WIDTH = 130  # pixels
SECTION = "runner"


def share(connection: MlflowClient, experiment_id: str, sweep: str) -> str | None:
    """Write the view of a sweep and return its key; None where the sweep has no runs here."""
    runs = connection.search_runs([experiment_id], sweep_filter(sweep), max_results=1000)
    jobs = [run for run in runs if run.data.metrics]
    if not jobs:
        return None
    measured = {name for run in jobs for name in run.data.metrics}
    metrics = [name for name in QUALITY if name in measured][:2]
    metrics += [name for row in COSTS for name in [name for name in row if name in measured][:1]]
    params = _differing([run.data.params for run in jobs])
    key = "runner-" + re.sub(r"[^0-9A-Za-z]+", "-", sweep)
    text = json.dumps(_state(sweep, metrics, params))
    # As MLflow writes it: a tag holds 5000 characters.
    packed = "deflate;" + base64.b64encode(zlib.compress(text.encode())).decode()
    connection.set_experiment_tag(experiment_id, TAG + key, packed)
    return key


def sweep_filter(sweep: str) -> str:
    """Return what finds the jobs of a sweep in MLflow's search; the run of its report has no figures to compare."""
    return f'tags."runner.sweep" = "{sweep}" and tags."runner.kind" = "job"'


def _differing(params: Sequence[dict[str, str]]) -> list[str]:
    """Return model, quant and what else the sweep varied."""
    names = dict.fromkeys(name for run in params for name in run)
    varied = [name for name in names if name != "checkpoint" and len({run.get(name) for run in params}) > 1]
    return [*ALWAYS, *(name for name in varied if name not in ALWAYS)][:MOST_COLUMNS]


def _state(sweep: str, metrics: Sequence[str], params: Sequence[str]) -> dict[str, Any]:
    """Return the state of MLflow's page of runs."""
    columns = [*(f"params.`{name}`" for name in params), *(f"metrics.`{name}`" for name in metrics)]
    section = {"uuid": SECTION, "name": "What decides", "display": True, "isReordered": True, "deleted": False,
               "isGenerated": False, "columns": 2, "cardHeight": 360}  # fmt: skip
    return {
        "searchFilter": sweep_filter(sweep),
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": ["attributes.`Dataset`", *columns],
        # What was varied, then quality, then costs: by itself the table sorts its columns by the alphabet.
        "columnOrder": [*columns, "attributes.`Dataset`"],
        "columnWidths": dict.fromkeys(columns, COLUMN_WIDTH),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": _charts(metrics, params),
        "compareRunSections": [section],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "autoRefreshEnabled": False,
        "globalLineChartConfig": {},
    }


def _charts(metrics: Sequence[str], params: Sequence[str]) -> list[dict[str, Any]]:
    """Return a bar chart of each figure, quality against latency, and parallel coordinates from settings to figures."""
    bars = [{"type": "BAR", "metricKey": name, "dataAccessKey": name, "height": 360} for name in metrics]
    more: list[dict[str, Any]] = []
    if len(metrics) > 1 and "latency/p95_s" in metrics:
        axes = {"xaxis": {"key": "latency/p95_s", "type": "METRIC"}, "yaxis": {"key": metrics[0], "type": "METRIC"}}
        more.append({"type": "SCATTER", **axes})
    # More axes than that can't be read in a card.
    axes_shown = [name for name in metrics if name in (metrics[0], "latency/p95_s")]
    more.append({"type": "PARALLEL", "selectedParams": list(params)[:3], "selectedMetrics": axes_shown})
    common = {"runsCountToCompare": 20, "metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    return [{**common, **chart, "uuid": f"{SECTION}-{place}"} for place, chart in enumerate([*more, *bars])]
