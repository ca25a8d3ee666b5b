"""Choices and ranges of keys, which a type can't express. They are declared beside the field, and checked here."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from runner.base.errors import Problem

CHOICES, LEAST, MOST = "choices", "least", "most"


def one_of(default: str | None, *choices: str) -> Any:
    """Return a field that takes one of the words in `choices`."""
    return dataclasses.field(default=default, metadata={CHOICES: choices})


def within(default: float | None, least: float, most: float = math.inf) -> Any:
    """Return a field that takes a number from `least` to `most`, both included."""
    return dataclasses.field(default=default, metadata={LEAST: least, MOST: most})


def bounds(metadata: Mapping[str, Any]) -> str:
    """Return in words which values a field takes; an empty text if its type is the only limit."""
    if choices := metadata.get(CHOICES):
        return f"one of {', '.join(choices)}"
    if LEAST not in metadata:
        return ""
    least, most = metadata[LEAST], metadata[MOST]
    return f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"


def problems(schema: Any, config: Any, prefix: str = "") -> Iterator[Problem]:
    """Yield a problem for each value of a composed config that lies outside its field's choices or range.

    Optional parts of the schema, and mappings whose values are parts of the schema, are checked as well.
    """
    hints = _hints(schema)
    for field in dataclasses.fields(schema):
        if OmegaConf.is_missing(config, field.name):
            continue  # `typed` asks for it
        value, key = config[field.name], f"{prefix}{field.name}"
        if value is None:
            continue
        part, is_mapping = part_of(hints[field.name])
        if part is not None:
            named = {f"{key}.{name}": value[name] for name in value} if is_mapping else {key: value}
            for name, inner in named.items():
                yield from problems(part, inner, f"{name}.")
        elif CHOICES in field.metadata and value not in field.metadata[CHOICES]:
            yield Problem(f"{value!r} is not valid", key, bounds(field.metadata).replace("one of", "one of:"))
        elif LEAST in field.metadata and not field.metadata[LEAST] <= value <= field.metadata[MOST]:
            limits = bounds(field.metadata)
            yield Problem(f"{value!r} is out of range", key, limits if limits.startswith("at") else f"from {limits}")


def part_of(kind: Any) -> tuple[type | None, bool]:
    """Return the dataclass of a field that is a part of the schema, and whether the field maps names to such parts."""
    if dataclasses.is_dataclass(kind):
        return typing.cast("type", kind), False
    is_mapping = typing.get_origin(kind) is dict
    inner = [argument for argument in typing.get_args(kind) if dataclasses.is_dataclass(argument)]
    return (typing.cast("type", inner[0]), is_mapping) if inner else (None, False)


@functools.cache
def _hints(schema: Any) -> dict[str, Any]:
    return typing.get_type_hints(schema)
