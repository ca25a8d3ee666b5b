"""Creates metrics by name: the built-in ones and those that other packages offer as entry points.

Another package adds a metric with lines in its pyproject.toml, without a change here:

    [project.entry-points."runner.metrics"]
    date_match = "their_package.dates:DateMatch"
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metrics.api import Metric

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "runner.metrics"
BUILT_IN: Mapping[str, str] = {
    "exact_match": "metrics.text:ExactMatch",
    "cer": "metrics.text:CharacterErrorRate",
    "wer": "metrics.text:WordErrorRate",
    "anls": "metrics.text:ANLS",
    "found": "metrics.found:Found",
    "bleu": "metrics.bleu:BLEU",
    "rouge": "metrics.rouge:Rouge",
    "chrf": "metrics.chrf:ChrF",
    "structured": "metrics.structured:StructuredAnswers",
    "abstention": "metrics.abstention:Abstention",
    "text": "metrics.language:TextStatistics",
    "spelling": "metrics.spelling:Spelling",
    "perplexity": "metrics.perplexity:Perplexity",
    "bleurt": "metrics.bleurt:Bleurt",
    "hf_evaluate": "metrics.hf_evaluate:HfEvaluate",
    "judge": "metrics.judge:Judge",
    "stored": "metrics.stored:StoredColumns",
}


class MetricError(ValueError):
    """A metric can't be created; the message says what would be valid."""


class UnknownMetricError(MetricError):
    """No metric has this name."""


class InvalidOptionError(MetricError):
    """The metric has no such option, or the option does not take this value."""


def known() -> dict[str, str]:
    """Return the target (`module:object`) of each metric by name, sorted by name. Imports no metric."""
    targets = dict(BUILT_IN)
    for entry in _entry_points():
        if targets.setdefault(entry.name, entry.value) != entry.value:
            raise MetricError(
                f"two metrics are called {entry.name!r}: {targets[entry.name]} and {entry.value}"
                f" (package {_package(entry)}); uninstall or rename one"
            )
    return dict(sorted(targets.items()))


def create(name: str, options: Mapping[str, Any] | None = None) -> Metric:
    """Return the metric of this name with options as its configuration gives them.

    A metric may yield several measures: `cer` gives `cer` and `cer_mean`. Raises `UnknownMetricError` or
    `InvalidOptionError` (both ValueError) with what would be valid.
    """
    targets = known()
    if name not in targets:
        raise UnknownMetricError(f"unknown metric {name!r}{_hint(name, targets)}; known: {', '.join(targets)}")
    factory = _load(name, targets[name])
    options = dict(options or {})
    _check_names(name, factory, options)
    try:
        metric = factory(**options)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"metric {name!r}: {error}") from error
    if not isinstance(metric, Metric):
        raise MetricError(f"metric {name!r}: {targets[name]} gives no metric (see metrics.api.Metric)")
    return metric


def create_all(configured: Mapping[str, Mapping[str, Any] | None]) -> list[Metric]:
    """Create metrics from names and options. Raise MetricError if two of them yield a measure of the same name."""
    metrics: list[Metric] = []
    owner: dict[str, str] = {}
    for name, options in configured.items():
        metric = create(name, options)
        for measure in metric.measures:
            if measure.name in owner:
                raise MetricError(f"metrics {owner[measure.name]!r} and {name!r} both yield {measure.name!r}")
            owner[measure.name] = name
        metrics.append(metric)
    return metrics


def _check_names(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Raise InvalidOptionError for options that the metric doesn't have."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # written in C, without a signature: the call itself will raise
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    valid = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]
    for option in options:
        if option not in valid:
            listed = ", ".join(valid) or "none"
            raise InvalidOptionError(f"metric {name!r} has no option {option!r}{_hint(option, valid)}; valid: {listed}")


def _hint(word: str, candidates: Mapping[str, Any] | Sequence[str]) -> str:
    close = difflib.get_close_matches(str(word), list(candidates), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _load(name: str, target: str) -> Callable[..., Any]:
    """Import `module:object`."""
    module, _, attribute = target.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise MetricError(f"metric {name!r} can't be loaded from {target}: {error}") from error
    if not callable(factory):
        raise MetricError(f"metric {name!r}: {target} is not a class or function")
    return factory  # type: ignore[no-any-return]


def _entry_points() -> Sequence[EntryPoint]:
    return _installed(tuple(sys.path))


@functools.cache
def _installed(_path: tuple[str, ...]) -> Sequence[EntryPoint]:
    """Read the entry points of packages once for each search path: reading all of them takes 7 ms, five times a job."""
    from importlib.metadata import entry_points  # slow to import, so only when metrics are looked up

    return tuple(entry_points(group=GROUP))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "unknown"
