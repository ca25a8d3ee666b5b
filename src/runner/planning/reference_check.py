"""Checks references before an engine starts, for metrics that can say what is wrong with one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping

from metrics.api import Metric
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.datasets.api import Dataset
from runner.datasets.opening import places

SHOWN = 20
_FOUND: dict[tuple[str, str, str], dict[str, str]] = {}  # of the datasets of a sweep, whose jobs share them


def check(config: Config, metrics: Mapping[str, Metric], dataset: Dataset) -> None:
    """Refuse references that a metric could not compare with, with file and row."""
    for name, metric in metrics.items():
        if not hasattr(metric, "check_reference"):
            continue
        key = (name, metric.version, dataset.digest())
        if key not in _FOUND:
            _FOUND[key] = _problems(metric, dataset)
        if found := _FOUND[key]:
            raise Refused(_told(config, name, found))


def _problems(metric: Metric, dataset: Dataset) -> dict[str, str]:
    """Return what is wrong with the references of each sample, by its id."""
    look = functools.lru_cache(maxsize=10_000)(metric.check_reference)  # type: ignore[attr-defined]
    on_picture = "picture" in inspect.signature(metric.check_reference).parameters  # type: ignore[attr-defined]
    problems: dict[str, str] = {}
    for sample in dataset:
        place = (str(sample.images[0].path) if sample.images else "",) if on_picture else ()
        if what := next(filter(None, (look(text, *place) for text in sample.references)), ""):
            problems[sample.id] = what
    return problems


def _told(config: Config, name: str, found: Mapping[str, str]) -> list[Problem]:
    shown = dict(list(found.items())[:SHOWN])
    where = places(config.dataset, paths.root(), shown)
    remedy, setting = "correct the reference", f"metrics.{name}"
    if "schema" in (config.metrics[name] or {}):
        remedy, setting = f"{remedy}, or the schema ({setting}.schema)", f"{setting}.schema"
    problems = [Problem(what, where.get(sample, f"sample {sample!r}"), remedy) for sample, what in shown.items()]
    if more := len(found) - len(shown):
        problems.append(Problem(f"... and {more} more references like these", setting))
    return problems
