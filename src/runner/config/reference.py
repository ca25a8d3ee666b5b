"""docs/configuration.md: every key of a job, with its type, default and meaning, read from the schema's source.

The meaning of a key is the comment beside it in the schema, so that there is one place to write it.
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

Made from the schema (`src/runner/config/schema.py` and what it names) by `python -m runner.document`; a test holds it
current. Every key can be given on the command line (`sampling.temperature=0.2`), in a file of its group under
`conf/`, or in an experiment. The defaults here are the schema's: the file that is chosen in a group says its own,
and `python -m runner --cfg job` prints what holds. `null` means *not given*. A key with braces takes any keys of
its own, added with a plus: `+backend.engine_args.max_model_len=4096`.

"""


@dataclass(frozen=True)
class Key:
    """One key: its whole name, its type as YAML knows it, its default, and what it means."""

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
        elif prefix:  # those of the job itself have sections of their own
            yield from _keys(part, f"{name}.")


def _comments(schema: type) -> dict[str, str]:
    """Return the comment beside each field, or on the lines of its own above it, where it has one."""
    source = inspect.getsource(schema).splitlines()
    found = {}
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
        found[node.target.id] = beside.group(1) if beside else " ".join(above)
    return found


def _type(kind: Any) -> str:
    """Put a type into the words of YAML."""
    if kind is Any:
        return "any"
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin is dict:
        return "{name: " + _type(arguments[1]) + "}"
    if origin is list:
        return f"[{_type(arguments[0])}]"
    if type(None) in arguments:
        return f"{_type(next(one for one in arguments if one is not type(None)))} or null"
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
    """Return the comment, and what values are allowed where it doesn't say."""
    if not comment and name.endswith(".name"):
        comment = "the word of its file on the command line; names it in results"
    parts = [comment] if comment else []
    if any(one not in comment for one in metadata.get(values.CHOICES, ())) or values.LEAST in metadata:
        parts.append(values.bounds(metadata))
    return "; ".join(parts)
