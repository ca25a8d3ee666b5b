"""Checks before an engine starts whether it can be held to a schema (prompt.schema_mode=constrained)."""

from __future__ import annotations

import importlib.util

from backends.hf_server import constraint
from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.config.request_form import request_form
from runner.prompts import Prompt
from runner.prompts.schema import AnswerSchema

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
