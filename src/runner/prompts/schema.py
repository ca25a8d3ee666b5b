"""The JSON Schema that answers are to follow: told in the prompt, and sent to the engine where it is to constrain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics import json_schema
from runner.base.errors import Problem, Refused
from runner.config.prompt import PromptConfig
from runner.datasets.paths import resolve

KEY = "prompt.schema_template"
BOTH = "both"


@dataclass(frozen=True, slots=True)
class AnswerSchema:
    """A schema, how the prompt tells it, and whether the engine is to enforce it.

    `template` is a Jinja2 text with `prompt`, the question, and `schema`, the schema as one line of JSON.
    """

    content: Mapping[str, Any]
    template: str
    is_enforced: bool

    @property
    def text(self) -> str:
        """The schema as one line. The order of its keys stays: constrained answers have their keys in this order."""
        return json.dumps(self.content, ensure_ascii=False)

    @property
    def digest(self) -> str:
        """A hash of the text."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def is_told(self) -> bool:
        """Whether the prompt holds the schema."""
        from runner.prompts import engine

        return "schema" in engine.variables(self.template)

    def problems(self) -> list[Problem]:
        """Return what is wrong with the template."""
        from jinja2 import TemplateSyntaxError

        from runner.prompts import engine

        try:
            used = engine.variables(self.template)
        except TemplateSyntaxError as error:
            return [Problem(f"line {error.lineno} of the template: {error.message}", KEY)]
        if "prompt" not in used or used - {"prompt", "schema"}:
            what = f"it has {', '.join(sorted(used)) or 'no variable'}"
            return [Problem(what, KEY, "{{ prompt }} must stand in it, {{ schema }} may, and nothing else")]
        return []

    def render(self, prompt: str) -> str:
        """Return the text that is sent."""
        from runner.prompts import engine

        return engine.compile_template(self.template).render(prompt=prompt, schema=self.text)


def find(config: PromptConfig, root: Path) -> AnswerSchema | None:
    """Return the schema of a prompt, None where it has none. Raise Refused for a file that is no JSON Schema."""
    if config.schema is None:
        if config.schema_mode != "told":
            what = f"schema_mode={config.schema_mode}, and there is no schema"
            raise Refused(Problem(what, "prompt.schema", "prompt.schema=FILE, a JSON Schema"))
        return None
    if config.schema_mode == BOTH:
        what = "both asks every question twice, which is a sweep of two jobs"
        raise Refused(Problem(what, "prompt.schema_mode", "python -m runner -m … prompt.schema_mode=both"))
    path = resolve(config.schema, "prompt.schema", root)
    try:
        loaded = json_schema.load(path)
    except json_schema.SchemaError as error:
        raise Refused(Problem(str(error), "prompt.schema", "docs/prompts.md has an example")) from error
    return AnswerSchema(loaded.content, config.schema_template, config.schema_mode == "constrained")
