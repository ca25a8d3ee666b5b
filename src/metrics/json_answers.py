"""Finds the JSON that an answer gives: a whole object or list, never a part of a broken one.

    Черновик: {"a": 1}. Ответ: {"a": 2}                    ->  {"a": 2}
    {"a": 1, "b": [{"c": 2}, {"c                           ->  none: it was cut off

Which JSON is the answer where there are several: the last one, of those in code fences if any stands in one. Only what
is not within another counts, so the answer is valid as a whole or not at all. JSON is RFC 8259's: no NaN, no trailing
comma, no comment, no single quotes. Of a key that is given twice the last value holds, as parsers have it, and
`repeated` says so. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# Beginnings that are tried; an answer with more brackets than this is no JSON but noise.
_MAX_STARTS = 1000
# Brackets and strings that are looked at for all beginnings together: else noise would take the square of its length.
_MAX_TOKENS = 300_000
_FENCE = re.compile(r"```[^\n`]*\n(?P<inner>.*?)(?:```|\Z)", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|[{}\[\]]', re.DOTALL)
_KEY = re.compile(r"[\"'”»]\s*:")  # what tells broken JSON from a bracket in prose


@dataclass(frozen=True, slots=True)
class Found:
    """A JSON value, or None and why there is none. `repeated` are keys that one of its objects gives twice."""

    value: Any = None
    reason: str = ""
    repeated: tuple[str, ...] = ()


def find(text: str, *, of_scalars: bool = False) -> Found:
    """Return the JSON object or list that a text gives as its answer.

    Lists count where they hold an object or a list, or nothing: "[1]" is a footnote. `of_scalars`: any list counts.
    """
    fenced = [one for block in _FENCE.finditer(text) for one in _top_level(block["inner"], of_scalars=of_scalars)]
    candidates = fenced or list(_top_level(text, of_scalars=of_scalars))
    return candidates[-1] if candidates else Found(reason="no JSON object or list in the answer")


def _top_level(text: str, *, of_scalars: bool) -> Iterator[Found]:
    """Yield the values of a text, whole and broken ones, that stand in no other."""
    at, left = 0, _MAX_TOKENS
    for _ in range(_MAX_STARTS):
        opening = _OPENING.search(text, at)
        if opening is None or left <= 0:
            return
        start = opening.start()
        found, at = _value(text, start)
        if found is None:
            end, whole, looked_at = _closing(text, start)
            left -= looked_at
            inner = text[start:end]
            if _KEY.search(inner):
                words = "the JSON of the answer is broken" if whole else "the JSON of the answer is cut off"
                yield Found(reason=words)
                at = end
            else:  # a bracket in prose, as in {Фамилия}: what it holds may be JSON all the same
                at = start + 1
        elif isinstance(found.value, dict) or _counts(found.value, of_scalars=of_scalars):
            yield found


def _counts(values: list[Any], *, of_scalars: bool) -> bool:
    return of_scalars or not values or any(isinstance(value, dict | list) for value in values)


def _value(text: str, start: int) -> tuple[Found | None, int]:
    """Return the JSON value that begins at `start`, and where it ends; None where none does."""
    repeated: list[str] = []

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(given)
        if len(made) < len(given):
            keys = [key for key, _ in given]
            repeated.extend(key for key in made if keys.count(key) > 1)
        return made

    # Decimal: two amounts of 17 digits that differ in their last are not equal.
    decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=Decimal, object_pairs_hook=pairs)
    try:
        value, end = decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start
    return Found(value, repeated=tuple(repeated)), end


def _closing(text: str, start: int) -> tuple[int, bool, int]:
    """Return where the bracket at `start` is closed, or the end of the text and False; and how much was looked at."""
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
