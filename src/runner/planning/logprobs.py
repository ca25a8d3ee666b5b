"""Whether the log-probabilities of tokens are asked for, and whether an engine can give them."""

from __future__ import annotations

from runner.base.errors import Problem, Refused
from runner.config import Config
from runner.config.request_form import request_form
from runner.planning.constraint_check import WHOLE_ANSWERS

METRIC = "confidence"


def asked(config: Config) -> bool:
    """Say whether requests ask for them: where the config says so, else where metrics=[confidence] can have them."""
    if config.sampling.logprobs is not None:
        return config.sampling.logprobs
    return METRIC in config.metrics and not _why_not(config)


def check(config: Config) -> None:
    """Refuse an engine that can't give what the config asks for in so many words."""
    if config.sampling.logprobs and (why := _why_not(config)):
        raise Refused(Problem(why, "sampling.logprobs", "sampling.logprobs=false, or another model"))


def _why_not(config: Config) -> str:
    """Say why an engine gives none; empty where it may."""
    if config.backend.name == "ocr":
        return "an OCR program has no probabilities of tokens"
    if config.backend.name == "hf" and config.model.family in WHOLE_ANSWERS:
        return f"model={config.model.name} gives its answers as a whole, and no probabilities of tokens"
    form = request_form(config)
    return f"logprobs is left out of requests ({form.by['logprobs']})" if "logprobs" in form.omit else ""
