"""Runs a metric script of the `evaluate` library, from a local path or the hub."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import evaluate

from metrics.workers.api import Item, Unavailable


def run(options: Mapping[str, Any], items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """Yield {index, value} for items {reference, candidate}. The script is called for each pair separately.

    A script that returns a list (a number per pair, like bertscore) is called in batches.
    """
    try:
        metric = evaluate.load(options["path"], options["config_name"])
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Unavailable(f"the evaluate script {options['path']!r} can't be had: {first[:300]}") from error
    yield {"version": f"evaluate:{evaluate.__version__}"}
    size, start = 1, 0
    while start < len(items):
        batch = items[start : start + size]
        result = _result(metric, batch, options)
        values = result if isinstance(result, list) else [result]
        for index, value in enumerate(values, start):
            number = float(value)
            finite = {"index": index, "value": number}
            yield finite if math.isfinite(number) else {"index": index, "reason": f"the script returned {number}"}
        start += len(batch)
        if isinstance(result, list):
            size = options["batch_size"]
        yield {"progress": start / len(items)}


def _result(metric: Any, batch: Sequence[Item], options: Mapping[str, Any]) -> Any:
    """Return the script's value of `result`: a number for a single pair, or a list with a number per pair."""
    results = metric.compute(
        predictions=[item["candidate"] for item in batch],
        references=[item["reference"] for item in batch],
        **options["arguments"],
    )
    if options["result"] not in results:
        raise Unavailable(
            f"the evaluate script {options['path']!r} returns {', '.join(map(str, results))}; no {options['result']!r}:"
            " set result to one of them"
        )
    result = results[options["result"]]
    if hasattr(result, "tolist"):
        result = result.tolist()
    if len(batch) == 1 or (isinstance(result, list) and len(result) == len(batch)):
        return result
    raise Unavailable(f"the evaluate script {options['path']!r} returned no number for each pair of a batch")
