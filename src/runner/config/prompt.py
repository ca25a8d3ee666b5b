"""The keys of conf/prompt/*.yaml. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.config.values import one_of


@dataclass
class PromptConfig:
    """The text that the model is sent. Each file in conf/prompt/ sets exactly one of template, path and collection."""

    name: str = ""  # the prompt's name in results
    version: str = "1"  # a prompt is never edited after use: a new version is a new file
    template: str | None = None  # a Jinja2 text with the variables question, field, doc_class and context
    path: str | None = None  # .txt (a template), .yaml (system, template, default, collection), .csv (a collection)
    collection: dict[str, Any] | None = None  # doc_class -> field -> template
    default: str | None = None  # the template for samples that the collection has none for
    system: str | None = None  # the template of the system text; wins over that of a YAML file
    system_role: str = one_of(
        "system", "system", "user"
    )  # system: the system text is its own turn; user: it precedes the text of the user turn
    ocr: str | None = None  # tesseract: the text of the pages is read by OCR and put into the prompt
    ocr_languages: str = "rus+eng"  # as tesseract names them
    # a Jinja2 text that joins `ocr`, the text of the pages, and `prompt`
    ocr_template: str = "Текст документа, прочитанный программой распознавания:\n\n{{ ocr }}\n\n{{ prompt }}"
    schema: str | None = None  # a JSON Schema that answers are to follow
    # told: the prompt tells the schema; constrained: the engine is held to it as well; both: each question both ways
    schema_mode: str = one_of("told", "told", "constrained", "both")
    # a Jinja2 text that joins `prompt` and `schema`
    schema_template: str = (
        "{{ prompt }}\n\nОтветь только JSON по этой схеме (JSON Schema), без пояснений:\n\n{{ schema }}"
    )
