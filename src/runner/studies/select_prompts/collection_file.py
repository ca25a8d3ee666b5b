"""Writes the chosen prompts as a collection, which `prompt=collection prompt.path=FILE` reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from backends.redaction import redact
from runner.base.errors import Problem, Refused
from runner.prompts.template import Template
from runner.studies.select_prompts.choosing import Selection


def new_folder(folder: Path) -> None:
    """Make the folder of a selection. Raise Refused if it exists, because prompts are never edited after use."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise Refused(Problem(f"{folder} exists", "--write", "a new version is a new folder")) from None


def write(selection: Selection, folder: Path, sweep: str, split: str) -> Path:
    """Write the collection of a candidate and return its path."""
    collection: dict[str, dict[str, str]] = {}
    for choice in selection.choices:
        doc_class, name = choice.pair
        collection.setdefault(doc_class, {})[name] = as_template(choice.template)
    content: dict[str, Any] = {"collection": collection}
    if system := selection.candidate.tried[0].prompt.system:
        content = {"system": as_template(system)} | content
    candidate = selection.candidate
    labels = ", ".join(tried.label for tried in candidate.tried)
    head = (
        f"# Chosen for {candidate.name} by {candidate.measure.name} on {split}, per field, from: {labels}.\n"
        f"# Sweep: {sweep}. Figures, and what another split says of them: selection.json.\n"
    )
    path = folder / f"{selection.candidate.name}.yaml"
    with path.open("x", encoding="utf-8") as file:
        file.write(redact(head + yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=10_000)))
    return path


def as_template(template: Template) -> str:
    """Return the text as a Jinja2 template. The braces of a literal text are protected by `raw`."""
    if template.literal and re.search(r"\{[{%#]", template.text):
        return f"{{% raw %}}{template.text}{{% endraw %}}"
    return template.text
