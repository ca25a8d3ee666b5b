"""JSON values turned into a row, with types checked. Numbers keep their spelling: an answer of 1.50 stays "1.50"."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from runner.base.errors import Problem
from runner.datasets.reader import Row
from runner.datasets.tables import MEANINGS, as_value


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
    if problem := _other_name(where, values, names):
        return problem
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


def _other_name(where: str, values: Mapping[str, Any], names: Mapping[str, str]) -> Problem | None:
    """Say where a key that is read is absent, and another has a name that means the same elsewhere."""
    for meaning, others in OTHER_NAMES.items():
        name = names.get(meaning)
        if name is None or name in values or (meaning == "images" and values.get("video")):
            continue
        free = [key for key in values if key not in names.values() and values[key] not in (None, "", [])]
        bare = {re.sub(r"[\s_-]", "", key).casefold(): key for key in free}
        found = [bare[other] for other in others if other in bare]
        if not found:  # a slip of the pen, such as refrences
            found = [bare[other] for other in difflib.get_close_matches(name.casefold(), bare, cutoff=0.85)]
        if found:
            remedy = f"say what it is called: 'dataset.columns={{{meaning}: {as_value(found[0])}}}' (null: not read)"
            return Problem(f"there is no {name}, but a key {found[0]!r}", where, remedy)
    return None


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
    """Return the accepted answers, numbers as written. A text or a number alone is the only one."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (str(value),) if value.strip() else ()
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
# What other data sets call these; compared without case, spaces, `_` and `-`.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "references": (
        *("reference", "answers", "answer", "groundtruths", "groundtruth", "gts", "gt", "goldanswers", "goldanswer"),
        *("gold", "target", "targets", "label", "labels", "expected", "correctanswer", "эталон", "ответ", "ответы"),
    ),
    "images": ("image", "imagepath", "imagepaths", "imagefile", "filename", "file", "picture", "img", "imgs"),
    "question": ("query", "questiontext", "вопрос"),
    "id": ("sampleid", "questionid", "qid", "uid"),
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
