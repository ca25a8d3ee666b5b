"""Looks up keys in the schema of a job (`runner.config`): which keys exist, and which values each key takes."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from typing import Any

from omegaconf import BooleanNode, FloatNode, IntegerNode
from omegaconf.errors import ValidationError

from runner.config import Config

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_NODES: dict[Any, type[IntegerNode] | type[FloatNode] | type[BooleanNode]] = {
    int: IntegerNode,
    float: FloatNode,
    bool: BooleanNode,
}


def kind_at(path: str) -> Any:
    """Return the type at a dotted path of the schema, without its `| None`; None if there is no such key."""
    kind: Any = Config
    for name in path.split(".") if path else ():
        kind = inner(kind, name)
    return kind


def inner(kind: Any, name: str) -> Any:
    """Return the type of the key `name` in a `kind`: None if there is no such key, Any if it takes any type."""
    if dataclasses.is_dataclass(kind):
        return without_none(_hints(kind).get(name))
    if typing.get_origin(kind) is dict:
        return without_none(typing.get_args(kind)[1])
    return Any if kind is Any else None


def without_none(kind: Any) -> Any:
    """Return a type without its `| None`."""
    if isinstance(kind, types.UnionType):
        return next(option for option in typing.get_args(kind) if option is not type(None))
    return kind


def keys(kind: Any) -> list[str] | None:
    """Return the keys of a part of the schema; None if it takes any key, or is a value."""
    return [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else None


def expected(kind: Any, value: Any) -> str | None:
    """Return in words what `kind` expects in place of a value that is no mapping; None if the value fits.

    A value with `${...}` counts as fitting, because it is known only after the config is composed.
    """
    if kind is Any or kind is None or (isinstance(value, str) and ("${" in value or value == "???")):
        return None
    if typing.get_origin(kind) is list:
        return None if isinstance(value, list) else f"a list, such as [{_shown(value)}]"
    if typing.get_origin(kind) is dict or dataclasses.is_dataclass(kind):
        return "keys of its own, each on a line below it"
    if isinstance(value, list):
        return f"one value, {WORDS[kind]}"
    if kind is str:
        return None
    try:
        _NODES[kind](value)
    except ValidationError:
        point = kind is float and isinstance(value, str) and value.count(",") == 1
        return WORDS[kind] + (" with a point: " + value.replace(",", ".") if point else "")
    return None


def suggestion(wrong: str, known: Sequence[str], prefix: str = "") -> str:
    """Return the known words that a mistyped word resembles, as the end of a message; else all known words."""
    if close := difflib.get_close_matches(wrong, known, n=3):
        return "; did you mean " + " or ".join(f"{prefix}{key}" for key in close) + "?"
    shown = [f"{prefix}{key}" if prefix.endswith(".") else key for key in sorted(known)]
    return f"; there are: {', '.join(shown)}"


def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
