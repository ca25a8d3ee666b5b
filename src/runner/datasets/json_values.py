"""JSON values turned into a row, with types checked. Numbers keep their spelling: an answer of 1.50 stays "1.50"."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from runner.datasets.reader import Row
from runner.datasets.tables import MEANINGS
from runner.errors import Problem


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Parse JSON. Raise ValueError, with the place, for anything else, and for NaN and infinities."""
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_no_number)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a value of JSON; leave the key out, or write null")


def as_row(where: str, values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Row | Problem:
    """Turn an object into a row. `names` says which key has which meaning; without it, keys are the meanings."""
    names = names or {meaning: meaning for meaning in MEANINGS}
    texts: dict[str, Any] = {}
    for meaning, name in names.items():
        value = values.get(name)
        expected, convert = _TYPES[meaning]
        try:
            texts[meaning] = convert(value)
        except TypeError:
            return Problem(
                f"{name} is {_kind(value)}, not {expected}", where, f"for example {name}: {_EXAMPLES[meaning]}"
            )
    if clip := values.get("video"):
        if not isinstance(clip, str):
            return Problem(f"video is {_kind(clip)}, not a path", where, 'for example video: "clip.mp4"')
        texts["images"] = (*texts["images"], clip)
    for needed in ("id", "images"):
        if not texts[needed]:
            name = names[needed]
            return Problem(f"{name} is missing or empty", where, f"for example {name}: {_EXAMPLES[needed]}")
    meta = {key: value for key, value in values.items() if key not in names.values() and key != "video"}
    document = texts.pop("document", None) or texts["images"][0].partition("#page=")[0]
    return Row(where=where, document=document, meta=meta, **texts)


def _kind(value: Any) -> str:
    if isinstance(value, Number):
        return f"the number {value}"
    names = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    text = json.dumps(value, ensure_ascii=False)
    return f"{names[type(value)]} ({text if len(text) < 60 else text[:57] + '...'})"


def _text(value: Any) -> str:
    """Return a text; absent is empty."""
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Number):
        raise TypeError
    return value


def _name(value: Any) -> str:
    """Return a text or a number as text."""
    return str(value) if isinstance(value, Number) else _text(value)


def _paths(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(path for item in items if (path := _text(item)))


def _answers(value: Any) -> tuple[str, ...]:
    """Return the accepted answers, numbers as written. A text alone is no list: its letters would be answers."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError
    return tuple(text for item in value if (text := _name(item)).strip())


def _truth(value: Any) -> bool | None:
    if not isinstance(value, (bool, type(None))):
        raise TypeError
    return value


_TYPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "id": ("a text or a number", _name),
    "document": ("a text or a number", _name),
    "split": ("a text", _text),
    "images": ("a list of paths", _paths),
    "question": ("a text", _text),
    "references": ("a list of answers", _answers),
    "doc_class": ("a text", _text),
    "field": ("a text", _text),
    "context": ("a text", _text),
    "answerable": ("true, false or null", _truth),
}
_EXAMPLES = {
    "id": '"17"',
    "document": '"contract-3"',
    "split": '"test"',
    "images": '["1.jpg", "2.jpg"]',
    "question": '"Кто покупатель?"',
    "references": '["ИП Жуков"]',
    "doc_class": '"invoice"',
    "field": '"Покупатель"',
    "context": '"..."',
    "answerable": "true",
}
