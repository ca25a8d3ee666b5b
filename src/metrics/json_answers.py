"""Finds the JSON object or list in an answer. It must be complete: no part of broken JSON is returned.

    Черновик: {"a": 1}. Ответ: {"a": 2}                    ->  {"a": 2}
    {"a": 1, "b": [{"c": 2}, {"c                           ->  none: it was cut off

If an answer has several JSON values, the last one in a code fence counts, or the last one of all if no fence has any.
Only top-level values count, so an answer is valid as a whole or not at all. JSON is as in RFC 8259: no NaN, trailing
commas, comments or single quotes. Keys that look the same are the same (`_key`). If an object repeats a key, the last
value counts, as in most parsers, and `repeated` lists the key.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from metrics.normalisation import label

# How many opening brackets are tried as the start of JSON. An answer with more is noise.
_MAX_STARTS = 1000
# Limit on the brackets and strings scanned in all: without it, noise would take quadratic time.
_MAX_TOKENS = 300_000
_FENCE = re.compile(r"```[^\n`]*\n(?P<inner>.*?)(?:```|\Z)", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[{}\[\]]', re.DOTALL)
_KEY = re.compile(r"[\"'”»]\s*:")  # distinguishes broken JSON from a bracket in prose


@dataclass(frozen=True, slots=True)
class JsonMatch:
    """A JSON value, or None with the reason. `repeated` are the keys that an object contains more than once.

    `start` is where it begins in the text; -1 where there is none.
    """

    value: Any = None
    reason: str = ""
    repeated: tuple[str, ...] = ()
    start: int = -1


def find(text: str, *, of_scalars: bool = False) -> JsonMatch:
    """Return the JSON object or list that is the answer in a text.

    A list counts only if it is empty or contains an object or a list, since "[1]" may be a footnote. With `of_scalars`
    any list counts.
    """
    fenced = [
        dataclasses.replace(match, start=match.start + block.start("inner")) if match.start >= 0 else match
        for block in _FENCE.finditer(text)
        for match in _top_level(block["inner"], of_scalars=of_scalars)
    ]
    candidates = fenced or list(_top_level(text, of_scalars=of_scalars))
    return candidates[-1] if candidates else JsonMatch(reason="no JSON object or list in the answer")


def of_reference(text: str) -> Any:
    """Return the JSON of a reference, None where there is none. A list of scalars must be the whole reference."""
    return find(text, of_scalars=text.lstrip().startswith("[")).value


def is_of_scalars(value: Any) -> bool:
    """Whether a JSON value is a list of single values."""
    return isinstance(value, list) and not any(isinstance(item, dict | list) for item in value)


def _top_level(text: str, *, of_scalars: bool) -> Iterator[JsonMatch]:
    """Yield the top-level JSON values of a text, complete and broken ones."""
    at, left = 0, _MAX_TOKENS
    for _ in range(_MAX_STARTS):
        opening = _OPENING.search(text, at)
        if opening is None or left <= 0:
            return
        start = opening.start()
        match, at = _value(text, start)
        if match is None:
            end, whole, looked_at = _closing(text, start)
            left -= looked_at
            inner = text[start:end]
            if _KEY.search(inner):
                words = "the JSON of the answer is broken" if whole else "the JSON of the answer is cut off"
                yield JsonMatch(reason=words)
                at = end
            else:  # a bracket in prose, such as {Фамилия}; there may be JSON inside
                at = start + 1
        elif isinstance(match.value, dict) or _counts(match.value, of_scalars=of_scalars):
            yield match


def _counts(values: list[Any], *, of_scalars: bool) -> bool:
    return of_scalars or not values or any(isinstance(value, dict | list) for value in values)


def _value(text: str, start: int) -> tuple[JsonMatch | None, int]:
    """Return the JSON value that begins at `start` and its end; None if no valid JSON begins there."""
    repeated: list[str] = []

    def pairs(as_written: list[tuple[str, Any]]) -> dict[str, Any]:
        key_values = [(_key(key), value) for key, value in as_written]
        parsed = dict(key_values)
        if len(parsed) < len(key_values):
            keys = [key for key, _ in key_values]
            repeated.extend(key for key in parsed if keys.count(key) > 1)
        return parsed

    # Decimal, because as floats two amounts of 17 digits that differ in the last one would be equal.
    decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=Decimal, object_pairs_hook=pairs)
    try:
        value, end = decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start
    return JsonMatch(value, repeated=tuple(repeated), start=start), end


def _key(key: str) -> str:
    """Return a key so that keys which look the same are the same: composed letters, no invisible ones, one space."""
    return key if key.isascii() and key.isalnum() else label(key)


def _closing(text: str, start: int) -> tuple[int, bool, int]:
    """Return (end, closed, tokens scanned) of the bracket at `start`; if it never closes, the end is the text's."""
    depth = number = 0
    for number, token in enumerate(_STRING_OR_BRACKET.finditer(text, start), start=1):
        if token[0] in "{[":
            depth += 1
        elif token[0] in "}]":
            depth -= 1
            if not depth:
                return token.end(), True, number
    return len(text), False, number


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
