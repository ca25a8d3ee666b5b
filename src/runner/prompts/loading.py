"""Loads the prompt that a config describes: an inline template, an inline collection, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.base.errors import Problem, Refused
from runner.config.prompt import PromptConfig
from runner.prompts import schema
from runner.prompts.ocr_template import OcrTemplate
from runner.prompts.prompt import Pair, Prompt
from runner.prompts.sources import Source, pairs_of, read_source
from runner.prompts.template import Template

ROLES = ("system", "user")


def load_prompt(config: PromptConfig, root: Path = Path()) -> Prompt:
    """Load the prompt of a config. Relative paths are looked up in the working directory, then in `root`.

    Raise Refused for an unreadable file, wrong syntax or an unknown variable. `Prompt.check` finds the problems that
    depend on the samples.
    """
    if config.system_role not in ROLES:
        raise Refused(
            Problem(f"{config.system_role!r} is not valid", "prompt.system_role", f"one of: {', '.join(ROLES)}")
        )
    source = _source(config, root)
    default = Template(config.default, "prompt.default") if config.default is not None else source.default
    system = Template(config.system, "prompt.system") if config.system else source.system
    if default is not None and source.template is not None:
        what = "a default needs a collection, and there is one template for all samples"
        raise Refused(Problem(what, default.where, "leave one of the two out"))
    prompt = Prompt(
        name=config.name or "prompt",
        version=config.version,
        where=source.where,
        template=source.template,
        pairs=source.pairs,
        joined=source.joined,
        default=default,
        system=system,
        system_role=config.system_role,
        ocr_template=OcrTemplate(config.ocr_template) if config.ocr else None,
        schema=schema.find(config, root),
    )
    _refuse_bad_templates(prompt)
    return prompt


def _source(config: PromptConfig, root: Path) -> Source:
    is_set = {
        "prompt.template": config.template is not None,
        "prompt.path": config.path is not None,
        "prompt.collection": config.collection is not None,
    }
    keys = [key for key in is_set if is_set[key]]
    if len(keys) != 1:
        what = (
            f"{' and '.join(keys)} are both set"
            if keys
            else "there is no text: template, path and collection are empty"
        )
        remedy = "give one of them: prompt=collection prompt.path=FILE, or prompt.template='{{ question }}'"
        raise Refused(Problem(what, ", ".join(keys) or "prompt", remedy))
    if config.template is not None:
        return Source("prompt.template", template=Template(config.template, "prompt.template"))
    if config.collection is not None:
        return Source("prompt.collection", pairs=_inline(config.collection))
    return read_source(config.path, root)


def _inline(collection: Mapping[str, Any]) -> dict[Pair, Template]:
    return pairs_of(collection, "prompt.collection")


def _refuse_bad_templates(prompt: Prompt) -> None:
    templates = [prompt.template, prompt.default, prompt.system, *prompt.pairs.values(), *prompt.joined.values()]
    problems = [problem for template in templates if template for problem in template.problems()]
    if prompt.ocr_template is not None:
        problems += prompt.ocr_template.problems()
    if prompt.schema is not None:
        problems += prompt.schema.problems()
    if problems:
        raise Refused(problems)
