"""The Jinja2 environment of prompts. Imported only when a template is used, because importing Jinja2 is slow."""

from __future__ import annotations

from typing import Any

from jinja2 import StrictUndefined, Template, meta
from jinja2.sandbox import SandboxedEnvironment


class Absent(StrictUndefined):
    """The value of a variable that a sample doesn't have: it can be tested (`{% if context %}`), but not printed."""

    def __bool__(self) -> bool:  # type: ignore[override]
        return False


# autoescape is off because prompts are plain text, not HTML.
ENVIRONMENT = SandboxedEnvironment(undefined=Absent, autoescape=False)


def compile_template(text: str) -> Template:
    """Compile a template. Raise jinja2.TemplateSyntaxError."""
    return ENVIRONMENT.from_string(text)


def variables(text: str) -> set[str]:
    """Return the names of the variables that a template uses and does not define."""
    return meta.find_undeclared_variables(ENVIRONMENT.parse(text)) - set(ENVIRONMENT.globals)


def absent(name: str) -> Any:
    """Return the value of a variable that a sample doesn't have."""
    return Absent(name=name, hint=f"the sample has no {name}")
