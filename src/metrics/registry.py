"""Creates metrics by name: the built-in ones and those that other packages offer as entry points.

Another package adds a metric with lines in its pyproject.toml, without a change here:

    [project.entry-points."runner.metrics"]
    date_match = "their_package.dates:DateMatch"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from metrics.api import Measure, Metric, MetricOfOthers
from registries import Registry, RegistryError, UnknownName, hint

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
    "kie": "metrics.kie:KeyInformation",
    "page": "metrics.page:Page",
    "grounding": "metrics.grounding:Grounding",
    "mws_page_ocr": "metrics.mws_vision.page_ocr:PageOcr",
    "mws_parsing": "metrics.mws_vision.document_parsing:DocumentParsing",
    "mws_grounding": "metrics.mws_vision.grounding:TextGrounding",
    "mws_kie": "metrics.mws_vision.key_information:KeyInformation",
    "mws_vqa": "metrics.mws_vision.vqa:VisualQuestions",
    "mws_antifraud": "metrics.mws_vision.antifraud:Antifraud",
    "mws_overall": "metrics.mws_vision.overall:Overall",
    "confidence": "metrics.confidence:Confidence",
    "abstention": "metrics.abstention:Abstention",
    "text": "metrics.language:TextStatistics",
    "spelling": "metrics.spelling:Spelling",
    "perplexity": "metrics.perplexity:Perplexity",
    "bleurt": "metrics.bleurt:Bleurt",
    "hf_evaluate": "metrics.hf_evaluate:HfEvaluate",
    "judge": "metrics.judge:Judge",
    "stored": "metrics.stored:StoredColumns",
}


REGISTRY = Registry("metric", GROUP, BUILT_IN)


class MetricError(ValueError):
    """A metric can't be created; the message says what would be valid."""


class UnknownMetricError(MetricError):
    """No metric has this name."""


class InvalidOptionError(MetricError):
    """The metric has no such option, or the option does not take this value."""


def known() -> dict[str, str]:
    """Return the target (`module:object`) of each metric by name, sorted by name. Imports no metric.

    Raise MetricError where two are called alike.
    """
    try:
        return {name: REGISTRY.find(name).target for name in sorted(REGISTRY.names())}
    except RegistryError as error:
        raise MetricError(str(error)) from error


def create(name: str, options: Mapping[str, Any] | None = None) -> Metric:
    """Return the metric of this name with options as its configuration gives them.

    A metric may yield several measures: `cer` gives `cer` and `cer_mean`. Raises `UnknownMetricError` or
    `InvalidOptionError` (both ValueError) with what would be valid.
    """
    factory = _load(name)
    options = dict(options or {})
    _check_names(name, factory, options)
    try:
        metric = factory(**options)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(f"metric {name!r}: {error}") from error
    if not isinstance(metric, Metric):
        raise MetricError(f"metric {name!r}: {REGISTRY.find(name)} gives no metric (see metrics.api.Metric)")
    return metric


def create_all(configured: Mapping[str, Mapping[str, Any] | None]) -> list[Metric]:
    """Create metrics from names and options, to score with them. Raise MetricError for what would stop that.

    That is two metrics that yield a measure of the same name, and a file named in an option that can't be used: a
    metric that reads one has a method `check()`, which raises ValueError.
    """
    metrics: list[Metric] = []
    owner: dict[str, str] = {}
    for name, options in configured.items():
        metric = create(name, options)
        try:
            getattr(metric, "check", lambda: None)()
        except ValueError as error:
            raise InvalidOptionError(f"metric {name!r}: {error}") from error
        for measure in metric.measures:
            if measure.name in owner:
                raise MetricError(f"metrics {owner[measure.name]!r} and {name!r} both yield {measure.name!r}")
            owner[measure.name] = name
        metrics.append(metric)
    return metrics


def check_needs(metrics: Sequence[Metric]) -> None:
    """Raise MetricError where a metric needs the scores of another that is not there."""
    for metric in metrics:
        if isinstance(metric, MetricOfOthers):
            try:
                metric.needs(measures_of_others(metric, metrics))
            except ValueError as error:
                raise MetricError(str(error)) from error


def measures_of_others(metric: Metric, metrics: Iterable[Metric]) -> list[Measure]:
    """Return the measures that the other metrics yield."""
    return [measure for other in metrics if other is not metric for measure in other.measures]


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
            raise InvalidOptionError(f"metric {name!r} has no option {option!r}{hint(option, valid)}; valid: {listed}")


def _load(name: str) -> Callable[..., Any]:
    try:
        factory = REGISTRY.load(name)
    except UnknownName as error:
        raise UnknownMetricError(str(error)) from error
    except RegistryError as error:
        raise MetricError(str(error)) from error
    if not callable(factory):
        raise MetricError(f"metric {name!r}: {REGISTRY.find(name)} is not a class or function")
    return factory  # type: ignore[no-any-return]
