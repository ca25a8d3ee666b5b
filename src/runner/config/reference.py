"""Makes docs/configuration.md: every key of a job, with its type, default and meaning.

The meaning of a key is the comment beside it in the schema's source, so that it is written in one place only.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.config import values
from runner.config.schema import Config

HEAD = """[Documentation](README.md) · **Look up**

# Configuration reference

This page is made from the schema (`src/runner/config/schema.py` and the files it names) by `python -m runner.document`;
a test checks that it is current. Every key can be set on the command line (`sampling.temperature=0.2`), in a file of
its group under `conf/`, or in an experiment. The defaults here are those of the schema. The file that is chosen in a
group may set others; `python -m runner --cfg job` prints the values in use. `null` means *not set*. A key with braces
takes any keys, which are added with a plus: `+backend.engine_args.max_model_len=4096`.

"""


@dataclass(frozen=True)
class Key:
    """One key: its full name, its type in YAML, its default, and its meaning."""

    name: str
    type: str
    default: str
    meaning: str


def page() -> str:
    """Return the page."""
    sections = [_section("The job itself", "", _keys(Config, ""))]
    hints = typing.get_type_hints(Config)
    for field in dataclasses.fields(Config):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            assert isinstance(kind, type)
            about = " ".join((inspect.getdoc(kind) or "").split())
            sections.append(_section(f"`{field.name}`", about, _keys(kind, f"{field.name}.")))
    return HEAD + "\n".join(sections)


def _section(title: str, about: str, keys: Iterator[Key]) -> str:
    lines = [
        f"## {title}",
        "",
        *([about, ""] if about else []),
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    for key in keys:
        cells = (f"`{key.name}`", key.type, f"`{key.default}`" if key.default else "(needed)", key.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _keys(schema: type, prefix: str) -> Iterator[Key]:
    comments, hints = _comments(schema), typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        name = f"{prefix}{field.name}"
        part, is_mapping = values.part_of(hints[field.name])
        if part is None:
            meaning = _meaning(name, comments.get(field.name, ""), field.metadata)
            yield Key(name, _type(hints[field.name]), _default(field), meaning)
        elif is_mapping:
            yield from _keys(part, f"{name}.NAME.")
        elif prefix:  # the parts of the job itself have their own sections
            yield from _keys(part, f"{name}.")


def _comments(schema: type) -> dict[str, str]:
    """Return the comment of each field that has one: beside the field, or on the lines above it."""
    source = inspect.getsource(schema).splitlines()
    comments = {}
    (definition,) = ast.parse("\n".join(source)).body
    assert isinstance(definition, ast.ClassDef)
    for node in definition.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        assert node.end_lineno is not None
        beside = re.search(r"#\s*(.*)$", source[node.end_lineno - 1][node.end_col_offset :])
        above: list[str] = []
        while source[node.lineno - 2 - len(above)].strip().startswith("#"):
            above.insert(0, source[node.lineno - 2 - len(above)].strip().lstrip("# "))
        comments[node.target.id] = beside.group(1) if beside else " ".join(above)
    return comments


def _type(kind: Any) -> str:
    """Return a type in words, as a YAML user knows it."""
    if kind is Any:
        return "any"
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin is dict:
        return "{name: " + _type(arguments[1]) + "}"
    if origin is list:
        return f"[{_type(arguments[0])}]"
    if type(None) in arguments:
        return f"{_type(next(option for option in arguments if option is not type(None)))} or null"
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false"}.get(kind.__name__, str(kind))


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    if value == "???":
        return ""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value).replace("'", '"') if isinstance(value, str) and not value.isascii() else str(value) or '""'


def _meaning(name: str, comment: str, metadata: Mapping[str, Any]) -> str:
    """Return the comment, followed by the allowed values unless the comment names them."""
    if not comment and name.endswith(".name"):
        comment = "the name of the file, which is given on the command line and shown in results"
    parts = [comment] if comment else []
    if any(choice not in comment for choice in metadata.get(values.CHOICES, ())) or values.LEAST in metadata:
        parts.append(values.bounds(metadata))
    return "; ".join(parts)
