"""The keys of conf/prompt/*.yaml. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.config.values import one_of


@dataclass
class PromptConfig:
    """What is said to the model. One file in conf/prompt/; exactly one of template, path and collection is given."""

    name: str = ""  # names the prompt in results
    version: str = "1"  # a prompt is never edited after use: a new version is a new file
    template: str | None = None  # Jinja2: question, field, doc_class, context
    path: str | None = None  # .txt (a template), .yaml (system, template, default, collection), .csv (a collection)
    collection: dict[str, Any] | None = None  # doc_class -> field -> template
    default: str | None = None  # the template where a collection has none
    system: str | None = None  # a template too; wins over the one of a YAML file
    system_role: str = one_of(
        "system", "system", "user"
    )  # system: a turn of its own; user: before the text of the user turn
    ocr: str | None = None  # tesseract: the text of the pages is read and stands in the prompt
    ocr_languages: str = "rus+eng"  # as tesseract names them
    # Jinja2: how the text of the pages and the prompt stand together
    ocr_template: str = "Текст документа, прочитанный программой распознавания:\n\n{{ ocr }}\n\n{{ prompt }}"
