"""Checks before an engine starts whether it can be held to a schema (prompt.schema_mode=constrained)."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from typing import Any

from backends.hf_server import constraint
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.config.request_form import request_form
from runner.prompts import Prompt
from runner.prompts.schema import AnswerSchema

# xgrammar is their default: 0.2.8 in vLLM 0.33.0, 0.2.7 in SGLang 0.5.23 (arg_groups/serving_hook.py:243).
BY_XGRAMMAR = ("vllm", "sglang")
OTHER_GRAMMAR = ("structured_outputs", "grammar_backend")  # their flags that choose another one
BESIDE_ANY_OF = ("properties", "required", "patternProperties")
WHOLE_ANSWERS = ("document_qa", "own_query")  # families whose own code gives the answer, and no single tokens


def check(config: Config, prompt: Prompt) -> None:
    """Refuse an engine that would give another answer than the one that is asked for."""
    if prompt.schema is None or not prompt.schema.is_enforced:
        return
    remedy = "prompt.schema_mode=told"
    backend, model = config.backend, config.model
    if backend.name == "ocr":
        raise Refused(Problem("an OCR program can't be held to a schema", "prompt.schema_mode", remedy))
    if backend.name == "hf" and model.family in WHOLE_ANSWERS:
        what = f"model={model.name} gives its answers as a whole and can't be held to a schema"
        raise Refused(Problem(what, "prompt.schema_mode", remedy))
    form = request_form(config)
    if "response_format" in form.omit:
        what = "without response_format the answers would not be held to the schema"
        raise Refused(Problem(what, form.by["response_format"], f"leave response_format out of it, or {remedy}"))
    if backend.name == "hf":
        _by_llguidance(config, prompt.schema)
    if _is_xgrammar(config) and any(_left_out(part) for part in _objects(prompt.schema.content)):
        what = (
            "beside anyOf it has properties or required, which xgrammar, the default of this engine, leaves out: "
            "answers that follow the schema could not be written (findings/xgrammar_anyof_beside_properties.sh)"
        )
        raise Refused(Problem(what, "prompt.schema", f"write them into each branch of anyOf, or {remedy}"))


def notes(config: Config, prompt: Prompt) -> list[str]:
    """Return what the grammar of an engine makes of patterns in the schema that answers are held to.

    Of other backends nothing is said, since what holds their answers was not tried.
    """
    if prompt.schema is None or not prompt.schema.is_enforced or config.backend.name not in ("hf", *BY_XGRAMMAR):
        return []
    patterns = [
        str(part["pattern"]) for part in _objects(prompt.schema.content) if isinstance(part.get("pattern"), str)
    ]
    told = []
    if any(r"\w" in pattern for pattern in patterns):
        told.append(
            r"prompt.schema: \w in a pattern is ASCII alone in the grammars of engines, so no Russian letter can be "
            "written there, valid or not: write [А-Яа-яЁё] (findings/pydantic_pattern_without_cyrillic.sh)"
        )
    if _is_xgrammar(config) and any("." in _OTHER_THAN_DOT.sub("", pattern) for pattern in patterns):
        told.append(
            "prompt.schema: under a pattern with a dot xgrammar, the default of this engine, can't write quotes, or "
            "writes them as no JSON where the pattern has a letter beyond ASCII: name the letters that may stand there "
            "(findings/xgrammar_cyrillic_pattern.sh)"
        )
    return told


_OTHER_THAN_DOT = re.compile(r"\\.|\[(?:\\.|[^\]])*\]", re.DOTALL)  # what is escaped, and classes of characters


def _is_xgrammar(config: Config) -> bool:
    flags = [*config.backend.engine_args, *(config.model.engine_args.get(config.backend.name) or {})]
    other = any(word in str(flag).replace("-", "_") for word in OTHER_GRAMMAR for flag in flags)
    return config.backend.name in BY_XGRAMMAR and not other


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and the objects in it, from above."""
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _objects(part)


def _left_out(part: dict[str, Any]) -> bool:
    return isinstance(part.get("anyOf"), list) and any(key in part for key in BESIDE_ANY_OF)


def _by_llguidance(config: Config, schema: AnswerSchema) -> None:
    """Refuse what our HF engine can't hold answers to, as far as this environment tells."""
    if importlib.util.find_spec("llguidance") is None:
        if config.env.name in ("auto", "current"):
            what = "the HF engine holds answers to a schema with the package llguidance, which is not installed"
            raise Refused(Problem(what, "prompt.schema_mode", "pip install 'vlm-runner[hf]'"))
        return  # the engine's own environment may have it
    from llguidance import LLMatcher

    if wrong := LLMatcher.validate_grammar(constraint.grammar(schema.text)):
        what = f"llguidance can't hold answers to it: {' '.join(wrong.split())}"
        raise Refused(Problem(what, "prompt.schema", "leave that keyword out, or prompt.schema_mode=told"))
