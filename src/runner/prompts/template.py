"""One template: a text with variables, or a literal text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from runner.base.errors import Problem, RunnerError
from runner.datasets.api import Sample

if TYPE_CHECKING:
    import jinja2

VARIABLES = ("question", "field", "doc_class", "context")


class PromptError(RunnerError):
    """A prompt that can't be rendered for a sample."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text, and `where` it comes from. A literal text is sent unchanged, with its braces."""

    text: str
    where: str
    literal: bool = False

    def problems(self) -> list[Problem]:
        """Return what is wrong with the template itself: wrong syntax, or an unknown variable."""
        from jinja2 import TemplateSyntaxError

        from runner.prompts import engine

        if not self.text.strip():
            return [Problem("the prompt is empty", self.where, "write what the model is to be asked")]
        if self.literal:
            return []
        try:
            unknown = sorted(engine.variables(self.text) - set(VARIABLES))
        except TemplateSyntaxError as error:
            remedy = "Jinja2: {{ question }}; literal braces are written {{ '{{' }}"
            return [Problem(f"line {error.lineno} of the template: {error.message}", self.where, remedy)]
        if unknown:
            remedy = f"there are: {', '.join(VARIABLES)}"
            return [Problem(f"unknown variable in the template: {', '.join(unknown)}", self.where, remedy)]
        return []

    def render(self, sample: Sample) -> str:
        """Return the text for a sample. Raise PromptError if the template prints a variable that the sample lacks."""
        if self.literal:
            return self.text
        from runner.prompts import engine

        texts = {name: getattr(sample, name) for name in VARIABLES}
        values = {name: text if text.strip() else engine.absent(name) for name, text in texts.items()}
        try:
            text = _compiled(self.text).render(values)
        except Exception as error:  # a template may raise anything: it may divide by zero
            raise PromptError(f"sample {sample.id!r}: {error}") from error
        if not text.strip():
            raise PromptError(f"sample {sample.id!r}: the prompt is empty once it is filled in")
        return text


@lru_cache(maxsize=4096)
def _compiled(text: str) -> jinja2.Template:
    from runner.prompts import engine

    return engine.compile_template(text)
