"""Tells before an engine starts which references no answer can be that is held to the schema.

`metrics.schema_fit` says whether an answer that follows the schema can say the same; our HF engine's own grammar (the
package llguidance), whether it can be written.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable, Sequence
from typing import Any

from backends.hf_server import constraint
from metrics import json_answers, json_schema, schema_fit
from metrics.fields import FieldKinds
from metrics.json_schema import JsonSchema
from runner.base import paths
from runner.config import Config
from runner.datasets.api import Dataset
from runner.datasets.opening import places
from runner.prompts import Prompt

SHOWN = 3
LOOKED_AT = 2000  # references: one takes about 2 ms
_OF_JSON = ("kie", "structured")  # metrics that compare the JSON of an answer with that of the reference
_FOUND: dict[tuple[str, ...], dict[str, str]] = {}  # what was found of a dataset, which is asked for more than once


def notes(config: Config, prompt: Prompt, dataset: Dataset) -> list[str]:
    """Return a note that names file and row of references that a constrained answer can't be equal to."""
    schema, metric = prompt.schema, next((name for name in _OF_JSON if name in config.metrics), None)
    if schema is None or not schema.is_enforced or metric is None:
        return []
    fields = (config.metrics[metric] or {}).get("fields")
    key = (config.backend.name, schema.text, repr(fields), dataset.digest())
    if key not in _FOUND:
        _FOUND[key] = _wrong(config, json_schema.load(schema.content), FieldKinds.of(fields), dataset)
    wrong = _FOUND[key]
    if not wrong:
        return []
    shown = dict(list(wrong.items())[:SHOWN])
    where = places(config.dataset, paths.root(), shown)
    listed = "; ".join(f"{where.get(sample, f'sample {sample!r}')}: {what}" for sample, what in shown.items())
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    of = f"the first {LOOKED_AT:,} references" if len(dataset) > LOOKED_AT else "the references"
    return [
        f"prompt.schema: an answer that is held to it can't be equal to {len(wrong)} of {of}, so it counts as wrong "
        f"whatever is read: {listed}{more}; correct the references or the schema"
    ]


def _wrong(config: Config, schema: JsonSchema, fields: FieldKinds, dataset: Dataset) -> dict[str, str]:
    """Return why no answer can be a sample's reference, by its id. References without JSON are the metric's affair."""
    writes = _writes(schema) if config.backend.name == "hf" else lambda _: ""
    kinds, found = schema.keys(), dict[str, str]()

    @functools.lru_cache(maxsize=10_000)
    def look(doc_class: str, text: str) -> str:
        value = json_answers.of_reference(text)
        if value is None:
            return ""
        fitted, error = schema_fit.fitted(schema, value, functools.partial(_kind, fields, kinds, doc_class))
        return error or writes(schema_fit.one_line(fitted))

    for number, sample in enumerate(dataset):
        if number == LOOKED_AT:
            break
        errors = [look(sample.doc_class or "", text) for text in sample.references]
        if errors and all(errors):
            found[sample.id] = errors[0]
    return found


def _kind(fields: FieldKinds, kinds: dict[str, str], doc_class: str, place: Sequence[str | int]) -> str | None:
    """Return the kind of the value at a place, as `metrics.kie` finds it."""
    key = "".join("[]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
    return fields.kind(doc_class, key, key.rpartition(".")[2]) or kinds.get(key)


def _writes(schema: JsonSchema) -> Callable[[str], str]:
    """Return what says of a text why our HF engine can't write it under the schema; empty where it can."""
    if importlib.util.find_spec("llguidance") is None:
        return lambda _: ""  # the engine's own environment may have it
    from llguidance import LLMatcher, LLTokenizer

    grammar = constraint.grammar(json.dumps(schema.content, ensure_ascii=False))
    begin: Any = LLMatcher(LLTokenizer("byte"), grammar)

    def look(text: str) -> str:
        matcher, written = begin.deep_copy(), text.encode("utf-8", "surrogatepass")
        taken = matcher.try_consume_tokens(list(written))
        if taken == len(written) and matcher.is_accepting():
            return ""
        before = written[:taken].decode("utf-8", "ignore")
        after = text[len(before) : len(before) + 20]
        return f"llguidance can't write {after!r} behind {before[-40:]!r}"

    return look
