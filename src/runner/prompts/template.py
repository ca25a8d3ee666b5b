"""One template: a text with variables, or a text that is meant literally."""

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
    """A prompt that can't be made for a sample."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text and where it comes from. A literal one is sent as it is, braces and all."""

    text: str
    where: str
    literal: bool = False

    def problems(self) -> list[Problem]:
        """Return what is wrong with the template itself: its syntax, a variable that there is not."""
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
        """Return the text for a sample. Raise PromptError where something is printed that the sample doesn't have."""
        if self.literal:
            return self.text
        from runner.prompts import engine

        texts = {name: getattr(sample, name) for name in VARIABLES}
        values = {name: text if text.strip() else engine.absent(name) for name, text in texts.items()}
        try:
            text = _compiled(self.text).render(values)
        except Exception as error:  # a template may divide by zero as well
            raise PromptError(f"sample {sample.id!r}: {error}") from error
        if not text.strip():
            raise PromptError(f"sample {sample.id!r}: the prompt is empty once it is filled in")
        return text


@lru_cache(maxsize=4096)
def _compiled(text: str) -> jinja2.Template:
    from runner.prompts import engine

    return engine.compile_template(text)
