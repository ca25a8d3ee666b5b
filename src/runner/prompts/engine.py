"""The Jinja2 environment of prompts. Imported when the first template is used: Jinja2 takes its time."""

from __future__ import annotations

from typing import Any

from jinja2 import StrictUndefined, Template, meta
from jinja2.sandbox import SandboxedEnvironment


class Absent(StrictUndefined):
    """Something that a sample doesn't have: it can be asked for (`{% if context %}`), but not printed."""

    def __bool__(self) -> bool:  # type: ignore[override]
        return False


# autoescape stays off: what is rendered is the text of a prompt, not a page.
ENVIRONMENT = SandboxedEnvironment(undefined=Absent, autoescape=False)


def compile_template(text: str) -> Template:
    """Compile a template. Raise jinja2.TemplateSyntaxError."""
    return ENVIRONMENT.from_string(text)


def variables(text: str) -> set[str]:
    """Return the names that a template takes from outside."""
    return meta.find_undeclared_variables(ENVIRONMENT.parse(text)) - set(ENVIRONMENT.globals)


def absent(name: str) -> Any:
    """Return the value of a variable that a sample doesn't have."""
    return Absent(name=name, hint=f"the sample has no {name}")
