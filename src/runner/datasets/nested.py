"""JSON objects whose values lie within others: keys are written with points, `inputs.question`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner.base.errors import Problem
from runner.datasets import embedded
from runner.datasets.json_values import as_row
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
    reached = {name: found for name in names.values() if (found := value_at(values, name)) is not None}
    inner = {name.partition(".")[0] for name in names.values() if name not in values and "." in name}
    return {key: value for key, value in values.items() if key not in inner} | reached


def row(where: str, values: Mapping[str, Any], names: Mapping[str, str]) -> Row | Problem:
    """Turn an object into a row. Pictures may be paths, bytes (as `datasets` stores them), or data: URLs."""
    given = values.get(names.get("images", ""))
    try:
        paths, data = unpacked(given)
    except embedded.NoPicture as error:
        return Problem(f"{names['images']} holds {error}", where, "a path, a picture's bytes, or a data: URL")
    made = as_row(where, {**values, names["images"]: paths} if data else values, names)
    return Row(**{**_fields(made), "data": data}) if data and isinstance(made, Row) else made


def unpacked(given: Any) -> tuple[list[Any], dict[str, bytes]]:
    """Return the names of pictures and the bytes of those that stand in the file. Raise embedded.NoPicture."""
    names: list[Any] = []
    data: dict[str, bytes] = {}
    for one in given if isinstance(given, list) else [given]:
        value = one
        if isinstance(one, Mapping):  # as `datasets` stores a picture
            value = one.get("bytes") or one.get("path")
        if isinstance(value, str) and value.startswith(embedded.DATA_URL):
            value = embedded.decoded(value)
        if isinstance(value, bytes):
            name = embedded.name_of(value)
            data[name] = value
            value = name
        names.append(value)
    return names, data


def filled(text: str, values: Any) -> str:
    """Return a text in which `{name}` is replaced by the value of that name, and `{inputs}` by `values` itself."""
    if not isinstance(values, Mapping):
        return text.replace("{inputs}", str(values))
    return re.sub(r"{(\w+)}", lambda match: str(values[match[1]]) if match[1] in values else match[0], text)


def _fields(made: Row) -> dict[str, Any]:
    return {name: getattr(made, name) for name in Row.__slots__}
