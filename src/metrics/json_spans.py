"""Finds where the values of a JSON text stand in it, by their paths.

    {"номер": "12", "цены": [5]}  ->  номер: `12"`, цены[0]: `5]`

A span reaches one character beyond its value: the quote, comma or bracket with which a model says that the value ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from metrics import json_answers
from metrics.normalisation import visible

Span = tuple[int, int]
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_BARE = re.compile(r"[^\s,\]}]+")


def of_answer(text: str, *, of_scalars: bool) -> dict[str, Span]:
    """Return the spans [begin, end) of all values of the JSON that counts in an answer, by path: `items[0].price`.

    Keys are without invisible characters. It is empty where no whole JSON stands in the text. Of a key that is given
    twice the last value counts, as in `json_answers`.
    """
    match = json_answers.find(text, of_scalars=of_scalars)
    if match.start < 0:
        return {}
    try:
        return dict(_values(text, match.start, "")[0])
    except RecursionError:
        return {}


def _values(text: str, at: int, path: str) -> tuple[list[tuple[str, Span]], int]:
    """Return the spans of the value that begins at `at`, and its end. The JSON is known to be valid."""
    at = _after_space(text, at)
    if text[at] == '"':
        _, end = _DECODER.raw_decode(text, at)
        return [(path, (at + 1, end))], end
    if text[at] not in "{[":
        bare = _BARE.match(text, at)
        assert bare is not None
        return [(path, (at, bare.end() + 1))], bare.end()
    found: dict[str, list[tuple[str, Span]]] = {}
    closing, number = {"{": "}", "[": "]"}[text[at]], 0
    begin, at = at, _after_space(text, at + 1)
    while text[at] != closing:
        if closing == "}":
            key, at = _DECODER.raw_decode(text, at)
            at = text.index(":", at) + 1
            inner = f"{path}.{visible(key)}" if path else visible(key)
        else:
            inner, number = f"{path}[{number}]", number + 1
        found[inner], at = _values(text, at, inner)
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    if not found:  # an empty object or list is a value as well: nothing
        return [(path, (begin, at + 1))], at + 1
    return [one for values in found.values() for one in values], at + 1


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    assert space is not None
    return space.end()


def by_key(spans: Mapping[str, Span], *, numbered: bool) -> dict[str, list[Span]]:
    """Return the spans by key. Without numbers all items of a list share a key: `items[].price`."""
    keys: dict[str, list[Span]] = {}
    for path, span in spans.items():
        for key in _forms(path if numbered else re.sub(r"\[\d+\]", "[]", path)):
            keys.setdefault(key, []).append(span)
    return keys


def _forms(key: str) -> Iterator[str]:
    """Yield a key as it is and without the list that holds all: one object and a list of it are the same."""
    yield key
    for whole in ("[].", "[0]."):
        if key.startswith(whole):
            yield key.removeprefix(whole)
