"""Reads prompt files, which have one of these formats.

    ask.txt     Кто покупатель? {{ context }}                     the whole file is one template
    ask.yaml    system: Ты читаешь документы.                     system, and template or collection (and default)
                collection: {invoice: {Покупатель: "Кто покупатель?"}}
    best.csv    prompt;doc_class_question_type;cer                VLMHyperBench's collections
                Напиши Фамилия. Пример: Куликов.;passport Фамилия;0.0

The prompts of a CSV file are plain text, as in VLMHyperBench: braces have no meaning. If a pair has several prompts,
the one with the lowest `cer` is used; different prompts without a single lowest `cer` are an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metrics.numerals import figure
from runner.base.errors import Problem, Refused
from runner.datasets import cells
from runner.datasets.paths import resolve, show
from runner.datasets.tables import Cells
from runner.datasets.text_files import read_csv, read_text
from runner.prompts.prompt import Pair
from runner.prompts.template import Template

KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "timestamp": "a date", "null": "nothing"}
YAML_KEYS = ("system", "template", "collection", "default")


@dataclass(frozen=True, slots=True)
class Source:
    """The templates that a file or an inline text contains."""

    where: str
    template: Template | None = None
    pairs: Mapping[Pair, Template] = field(default_factory=dict)
    joined: Mapping[str, Template] = field(default_factory=dict)
    default: Template | None = None
    system: Template | None = None


def read_source(name: str | None, root: Path) -> Source:
    """Read a prompt file. Its suffix determines the format."""
    path = resolve(name, "prompt.path", root)
    readers = {".txt": _read_txt, ".yaml": _read_yaml, ".yml": _read_yaml, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise Refused(Problem(f"prompts are not read from {path.suffix or 'folders'}", show(path), ", ".join(readers)))
    return reader(path)


def _read_txt(path: Path) -> Source:
    return Source(show(path), template=Template(read_text(path, "a prompt"), show(path)))


# ------------------------------------------------------------------------------------------------- YAML


def _read_yaml(path: Path) -> Source:
    import yaml

    where = show(path)
    try:
        text = read_text(path, "a prompt")
        problems = list(_bad_keys(yaml.compose(text, Loader=yaml.SafeLoader), where))
        content: Any = None if problems else yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        raise Refused(Problem(f"is not YAML: {getattr(error, 'problem', None) or error}", place)) from error
    if problems:
        raise Refused(problems[:20])
    remedy = f"keys: {', '.join(YAML_KEYS)}; template or collection is needed"
    if not isinstance(content, dict) or (set(content) - set(YAML_KEYS)):
        what = f"unknown key: {', '.join(map(str, content))}" if isinstance(content, dict) else "is no mapping"
        raise Refused(Problem(what, where, remedy))
    if (content.get("template") is None) == (content.get("collection") is None):
        raise Refused(Problem("either template or collection must be given", where, remedy))
    pairs = pairs_of(content["collection"], where) if content.get("collection") is not None else {}
    return Source(
        where,
        template=_template(content, "template", where),
        pairs=pairs,
        default=_template(content, "default", where),
        system=_template(content, "system", where),
    )


def _bad_keys(node: Any, where: str, above: tuple[Any, ...] = ()) -> Iterator[Problem]:
    """Yield the keys that a YAML reader would change (007 to 7, 12:30 to 750, no to false), and duplicate keys."""
    import yaml

    if node in above:  # an alias to a node that contains it
        return
    above = (*above, node)
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _bad_keys(item, where, above)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield Problem("a key is no text", f"{where}:{line}", "a class or a field, such as passport")
        elif key.tag == "tag:yaml.org,2002:merge":
            pass  # << copies the keys of another mapping
        elif key.tag != "tag:yaml.org,2002:str":
            kind = key.tag.rpartition(":")[2]
            what = f"the key {key.value} is no text: YAML reads it as {KINDS.get(kind, kind)}"
            yield Problem(
                what, f"{where}:{line}", f"put it in quotation marks: {json.dumps(key.value, ensure_ascii=False)}:"
            )
        elif key.value in lines:
            what = f"the key {key.value!r} is there twice, first in line {lines[key.value]}"
            yield Problem(what, f"{where}:{line}", "YAML would keep the last one only: remove one")
        else:
            lines[key.value] = line
        yield from _bad_keys(value, where, above)


def _template(content: Mapping[str, Any], key: str, where: str) -> Template | None:
    text = content.get(key)
    if text is not None and not isinstance(text, str):
        raise Refused(Problem(f"{key} must be a text, not {text!r}", where, "put it in quotation marks"))
    return Template(text, f"{where}, {key}") if text is not None else None


def pairs_of(collection: Any, where: str) -> dict[Pair, Template]:
    """Return the templates of a mapping doc_class -> field -> text."""
    remedy = "collection: {passport: {Фамилия: 'Напиши фамилию.'}}"
    if not isinstance(collection, Mapping) or not collection:
        raise Refused(Problem("a collection maps doc_class to field to template", where, remedy))
    pairs: dict[Pair, Template] = {}
    for doc_class, fields in collection.items():
        inner = fields if isinstance(fields, Mapping) else {}
        if other := [key for key in (doc_class, *inner) if not isinstance(key, str)]:
            what = f"the key {other[0]!r} is no text: YAML read a number, a truth value or a date"
            raise Refused(Problem(what, where, "put the key in quotation marks, as it should be read: '007'"))
        if not isinstance(fields, Mapping):
            raise Refused(Problem(f"{doc_class} must map its fields to templates, not be {fields!r}", where, remedy))
        for name, text in fields.items():
            if not isinstance(text, str):
                what = f"the prompt of {doc_class} / {name} must be a text, not {text!r}"
                raise Refused(Problem(what, where, "put it in quotation marks"))
            pair = (cells.label(doc_class), cells.label(name))
            if pair in pairs:
                what = f"{doc_class} / {name} is there twice: the names differ only in what nobody sees"
                raise Refused(Problem(what, where, "remove one"))
            pairs[pair] = Template(text, f"{where}, {doc_class} / {name}")
    return pairs


# ------------------------------------------------------------------------------------------------- CSV


def _read_csv(path: Path) -> Source:
    table = read_csv(path, "a table with the columns prompt; doc_class_question_type; cer (may be left out)", usual=";")
    if missing := [name for name in ("prompt", "doc_class_question_type") if name not in table.header]:
        what = f"missing column: {', '.join(missing)}; found: {', '.join(table.header)}"
        raise Refused(Problem(what, table.where, "columns: prompt; doc_class_question_type; cer"))
    problems: list[Problem] = []
    chosen: dict[str, tuple[float | None, Template]] = {}
    for line in table.lines(("prompt", "doc_class_question_type")):
        problem = line if isinstance(line, Problem) else _choose(chosen, line)
        problems += [problem] if problem else []
    if not chosen and not problems:
        problems.append(Problem("there are no prompts", table.where, "one a line, below the header"))
    if problems:
        raise Refused(problems[:20])
    return Source(table.where, joined={key: template for key, (_, template) in chosen.items()})


def _choose(chosen: dict[str, tuple[float | None, Template]], line: Cells) -> Problem | None:
    """Keep the prompt of a line unless its pair has one with a lower `cer`. Return what is wrong with the line."""
    key = cells.label(line.texts["doc_class_question_type"])
    template = Template(line.texts["prompt"].strip(), line.where, literal=True)
    if not key or not template.text:
        empty = "prompt" if key else "doc_class_question_type"
        return Problem(f"column {empty} is empty", line.where, "passport Фамилия")
    cer_text = line.texts.get("cer", "").strip()
    try:
        cer = figure(cer_text) if cer_text else None
    except ValueError as error:
        return Problem(f"column cer: {error}", line.where, "for example 0.08, or empty")
    if key not in chosen:
        chosen[key] = (cer, template)
        return None
    other_cer, other = chosen[key]
    if other.text == template.text:
        return None
    if cer is None or other_cer is None or cer == other_cer:
        what = f"{key!r} has two prompts; the other is in {other.where}"
        return Problem(what, line.where, "remove one, or give each its cer: the lowest is taken")
    if cer < other_cer:
        chosen[key] = (cer, template)
    return None
