"""Checks references before an engine starts, for metrics that can say what is wrong with one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from metrics.api import Metric
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.datasets.api import Dataset
from runner.datasets.opening import places

SHOWN = 20
_FOUND: dict[tuple[str, ...], dict[str, str]] = {}  # of the datasets of a sweep, whose jobs share them
# With these the first picture that a model sees is not the page on which the boxes of a reference lie.
_OTHER_PICTURES = (
    ("region", None, "region=null"),
    ("other_pages", 0, "other_pages=0"),
    ("blind", "none", "blind=none"),
)


def check(config: Config, metrics: Mapping[str, Metric], dataset: Dataset) -> None:
    """Refuse references that a metric could not compare with, with file and row."""
    if problems := other_pictures(config.dataset, metrics):
        raise Refused(problems)
    for name, metric in metrics.items():
        if not hasattr(metric, "check_reference"):
            continue
        # The version lacks what only says how a reference is read, the digest the folder and sizes of the pictures.
        key = (name, metric.version, repr(config.metrics[name]), dataset.digest(), str(config.dataset.images))
        if key not in _FOUND:
            _FOUND[key] = _problems(metric, dataset)
        if wrong := _FOUND[key]:
            raise Refused(_told(config, name, wrong))


def other_pictures(dataset: Any, metrics: Mapping[str, Metric]) -> list[Problem]:
    """Return a problem for each key of a dataset's config by which a metric would count places on another picture.

    `dataset` is a DatasetConfig, or the stored one of a job.
    """
    names = [name for name, metric in metrics.items() if _is_on_picture(metric)]
    wrong = [
        (key, remedy)
        for key, usual, remedy in _OTHER_PICTURES
        if names and (getattr(dataset, key, usual) or usual) != usual
    ]
    what = f"{', '.join(names)} counts places on the page, and another picture than the whole page is shown"
    problems = [Problem(what, f"dataset.{key}", f"dataset.{remedy}, or metrics without it") for key, remedy in wrong]
    return problems + _moved(dataset, metrics)


def _moved(dataset: Any, metrics: Mapping[str, Metric]) -> list[Problem]:
    """Return a problem where a page is tilted or turned, and a metric would count places on it as if it were not."""
    kind = getattr(dataset, "degrade", None)
    names = [name for name, metric in metrics.items() if getattr(metric, "still_pages", False)]
    if not names or not kind or not dataset.degrade_strength:
        return []
    from runner.datasets.degrading import table  # numpy takes a while

    if not table.moves(kind):
        return []
    what = f"a page that was made worse by {kind} is tilted or turned, and {', '.join(names)} does not follow that"
    return [Problem(what, "dataset.degrade", "metrics=[grounding], which does; or dataset.degrade=fax")]


def _is_on_picture(metric: Metric) -> bool:
    look = getattr(metric, "check_reference", None)
    return look is not None and "picture" in inspect.signature(look).parameters


def _problems(metric: Metric, dataset: Dataset) -> dict[str, str]:
    """Return what is wrong with the references of each sample, by its id."""
    look = functools.lru_cache(maxsize=10_000)(metric.check_reference)  # type: ignore[attr-defined]
    on_picture = _is_on_picture(metric)
    problems: dict[str, str] = {}
    for sample in dataset:
        place = (str(sample.images[0].path) if sample.images else "",) if on_picture else ()
        if what := next(filter(None, (look(text, *place) for text in sample.references)), ""):
            problems[sample.id] = what
    return problems


def _told(config: Config, name: str, wrong: Mapping[str, str]) -> list[Problem]:
    shown = dict(list(wrong.items())[:SHOWN])
    where = places(config.dataset, paths.root(), shown)
    remedy, setting = "correct the reference", f"metrics.{name}"
    if "schema" in (config.metrics[name] or {}):
        remedy, setting = f"{remedy}, or the schema ({setting}.schema)", f"{setting}.schema"
    problems = [Problem(what, where.get(sample, f"sample {sample!r}"), remedy) for sample, what in shown.items()]
    if more := len(wrong) - len(shown):
        problems.append(Problem(f"... and {more} more references like these", setting))
    return problems
