"""Which candidates were told a schema, which were held to it, and which two differ in nothing else."""

from __future__ import annotations

import json

from runner.config import decisive
from runner.report.model import Candidate, Comparison

TOLD, ENFORCED = "told", "constrained"


def mode(candidate: Candidate) -> str:
    """Return `told` or `constrained`; an empty text for a job without a schema."""
    prompt = candidate.result.config.get("prompt") or {}
    return str(prompt.get("schema_mode", TOLD)) if prompt.get("schema") else ""


def pairs(compared: Comparison) -> list[tuple[Candidate, Candidate]]:
    """Return the jobs that were told the schema with the ones that were also held to it."""
    told = {_key(one): one for one in compared.candidates if mode(one) == TOLD}
    enforced = (one for one in compared.candidates if mode(one) == ENFORCED)
    return [(told[_key(one)], one) for one in enforced if _key(one) in told]


def _key(candidate: Candidate) -> str:
    """Return a key of everything that decides a result but the mode."""
    shared = decisive.only(candidate.result.config)
    shared["prompt"] = {name: value for name, value in shared["prompt"].items() if name != "schema_mode"}
    return json.dumps(shared, sort_keys=True, ensure_ascii=False, default=str)
