"""Reads Prometheus text, the format in which vLLM and SGLang give account of themselves at /metrics.

vllm:kv_cache_usage_perc{engine="0",model_name="model"} 0.125
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Metrics:
    """One body of /metrics. What it does not hold is None."""

    text: str

    def samples(self, name: str) -> Iterator[tuple[dict[str, str], float]]:
        """Yield labels and value of each sample of one metric; several engine processes each have their own."""
        for line in self.text.splitlines():
            if line.startswith(name) and (match := _SAMPLE.match(line)) and match[1] == name:
                try:
                    value = float(match[3])
                except ValueError:
                    continue
                if math.isfinite(value):
                    yield dict(_LABEL.findall(match[2] or "")), value

    def total(self, name: str) -> float | None:
        """Return the sum of a counter, with or without the suffix that newer clients put behind its name."""
        for spelled in (name, f"{name}_total"):
            if values := [value for _, value in self.samples(spelled)]:
                return sum(values)
        return None

    def highest(self, name: str) -> float | None:
        """Return the highest value of a gauge."""
        return max((value for _, value in self.samples(name)), default=None)

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of the first sample of a metric: some hold their content there, at the value 1."""
        return next((labels for labels, _ in self.samples(name)), {})


def risen(before: Metrics, after: Metrics, name: str) -> float | None:
    """Return by how much a counter rose between two bodies."""
    then, now = before.total(name), after.total(name)
    return None if now is None else now - (then or 0.0)


def rate(before: Metrics, after: Metrics, hits: str, queries: str) -> float | None:
    """Return hits per query between two bodies; None where nothing was asked."""
    asked, found = risen(before, after, queries), risen(before, after, hits)
    return None if not asked or found is None else found / asked


def mean(before: Metrics, after: Metrics, histogram: str) -> float | None:
    """Return the mean of what a histogram gathered between two bodies."""
    return rate(before, after, f"{histogram}_sum", f"{histogram}_count")
