"""JSON objects whose values lie within others: keys are written with points, `inputs.question`."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from runner.base.errors import Problem
from runner.datasets import embedded
from runner.datasets.json_values import Number, as_row
from runner.datasets.reader import Row


def value_at(values: Any, key: str) -> Any:
    """Return the value under a key with points; None where there is none. A key that is there as it stands wins."""
    if isinstance(values, Mapping) and key in values:
        return values[key]
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def flat(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return an object with the values of `names` under their keys, and the rest of the object as it is."""
    reached = {name: value for name in names.values() if (value := value_at(values, name)) is not None}
    inner = {name.partition(".")[0] for name in names.values() if name not in values and "." in name}
    return {key: value for key, value in values.items() if key not in inner} | reached


def row(where: str, values: Mapping[str, Any], names: Mapping[str, str]) -> Row | Problem:
    """Turn an object into a row. Pictures may be paths, bytes (as `datasets` stores them), or data: URLs.

    Bytes in other columns are left out: the rows of a large file would fill the memory with them.
    """
    known = set(names.values())
    values = {name: value for name, value in values.items() if name in known or not is_picture(value)}
    given = values.get(names.get("images", ""))
    try:
        paths, data = unpacked(given)
    except embedded.NoPicture as error:
        return Problem(f"{names['images']} holds {error}", where, "a path, a picture's bytes, or a data: URL")
    made = as_row(where, values if paths is None else {**values, names["images"]: paths}, names)
    return dataclasses.replace(made, data=data) if data and isinstance(made, Row) else made


def unpacked(given: Any) -> tuple[list[Any] | None, dict[str, bytes]]:
    """Return the names of pictures and the bytes of those that stand in the file. Raise embedded.NoPicture.

    The names are None where all stand there already: a path, or a list of paths.
    """
    names: list[Any] = []
    stored = False
    data: dict[str, bytes] = {}
    for item in given if isinstance(given, list) else [given]:
        value = item
        if isinstance(item, Mapping) and item.keys() & {"bytes", "path"}:
            # as `datasets` stores a picture: one that it did not embed has a path alone (embed_external_files=False)
            value, stored = item.get("bytes") or item.get("path"), True
        if isinstance(value, str) and value.startswith(embedded.DATA_URL):
            value = embedded.decoded(value)
        if isinstance(value, bytes):
            name = embedded.name_of(value)
            data[name] = value
            value = name
        names.append(value)
    return names if data or stored else None, data


def filled(text: str, values: Any) -> str:
    """Return a text in which `{name}` is replaced by the value of that name, and `{inputs}` by `values` itself.

    A name without a value, or with null, stays as it is; anything but a text is written as JSON.
    """
    named = values if isinstance(values, Mapping) else {"inputs": values}
    return re.sub(r"{(\w+)}", lambda match: match[0] if named.get(match[1]) is None else _told(named[match[1]]), text)


def _told(value: Any) -> str:
    """Return a value as it is told in a question."""
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_json(name)}: {_json(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def is_picture(value: Any) -> bool:
    """Whether a value is bytes, or a picture as `datasets` stores it, or a list of them."""
    if isinstance(value, list):
        return any(map(is_picture, value))
    return isinstance(value, bytes) or (isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes))
