"""The template that joins a prompt and the OCR text of the pages."""

from __future__ import annotations

from dataclasses import dataclass

from runner.base.errors import Problem

NAMES = ("ocr", "prompt")
KEY = "prompt.ocr_template"


@dataclass(frozen=True, slots=True)
class OcrTemplate:
    """A Jinja2 text with the variables `ocr`, the text of the pages, and `prompt`. It must contain both."""

    text: str

    def problems(self) -> list[Problem]:
        """Return what is wrong with the template."""
        from jinja2 import TemplateSyntaxError

        from runner.prompts import engine

        try:
            used = engine.variables(self.text)
        except TemplateSyntaxError as error:
            return [Problem(f"line {error.lineno} of the template: {error.message}", KEY)]
        if used != set(NAMES):
            what = f"it has {', '.join(sorted(used)) or 'no variable'}"
            return [Problem(what, KEY, "both {{ ocr }} and {{ prompt }} must stand in it, and nothing else")]
        return []

    def render(self, prompt: str, ocr: str) -> str:
        """Return the text that is sent."""
        from runner.prompts import engine

        return engine.compile_template(self.text).render(prompt=prompt, ocr=ocr)
