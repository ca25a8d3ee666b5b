"""Key information extraction (`key information extraction ru`): the share of keys whose values are equal.

answer '{"Номер": "12", "Сумма": "7"}', reference '{"Номер": ["12", "№ 12"], "Дата": "1.2.2024"}'  ->  1/3
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from metrics.mws_vision.task import OneScore, mean

TASK = "key information extraction ru"
_FENCE = re.compile(r"```(?:python|json)?\n(.*?)\n```", re.DOTALL | re.IGNORECASE)
_WORDS = re.compile(r"[\w\s]+")
_VALUE = re.compile(r"""["']?\s*[:=]\s*["']?([^\n,"'{}]+)["']?""")
_UNREAD = (ValueError, TypeError, MemoryError, RecursionError)  # a number or a nesting too large, a list as a key
_EMPTY = ()  # for None, which here means that nothing was read
_UNREADABLE = "nothing in the answer reads as keys and values"


class KeyInformation(OneScore):
    """Keys whose values are equal / keys of answer and reference together; what is nested is compared as Python text.

    Values are equal without spaces and without regard to case. A list in the reference is a choice. An answer that is
    neither JSON nor a Python dictionary is searched for `key: value` and `key = value` (teds_metric.py,
    `convert_str_to_dict`, `generate_combinations`, `compute_f1_score`).
    """

    measures = (mean("mws_kie", "mean of keys with an equal value / keys of the answer and of the reference"),)

    def __init__(self, task: str | None = TASK) -> None:
        super().__init__(task)

    def _value(self, answer: str, references: Sequence[str]) -> tuple[float, str]:
        wanted, why = accepted_values(references[0])
        if wanted is None:
            return 0.0, f"the benchmark gives 0 to any answer here: its answer {why}"
        given = read_answer(answer)
        counted = right = 0
        for key in {**wanted, **given}:
            accepted, value = wanted.get(key), given.get(key)
            if value is None and accepted is not None and None in accepted:
                continue  # wanted is nothing
            counted += 1
            if value is not None and accepted is not None:
                right += any(one is not None and _plain(one) == _plain(value) for one in accepted)
        detail = f"{right} of {counted} keys" if given else _UNREADABLE
        return (right / counted if counted else 0.0), detail


def read_answer(text: str) -> dict[str, str]:
    """Return keys and values of an answer as the benchmark reads them; empty where it reads none."""
    fence = _FENCE.search(text)
    content = fence[1] if fence else text.strip()
    try:
        read = _loaded(content)
        if read is None:
            read = dict(_pairs(content))
    except _UNREAD:
        return {}
    if not isinstance(read, dict) or not all(isinstance(key, str) for key in read):
        return {}
    return {key.strip(): str(value).strip() for key, value in read.items()}


def accepted_values(reference: str) -> tuple[dict[str, tuple[str | None, ...]] | None, str]:
    """Return the accepted values of each key of a reference, or why the benchmark gives 0 whatever the answer is."""
    content = reference.strip('"')
    try:
        read = _loaded(content)
        read = ast.literal_eval(read) if isinstance(read, str) else read  # a text within a text
    except (*_UNREAD, SyntaxError):
        read = None
    if not isinstance(read, dict):
        return None, f"is no object: {content[:100]}"
    values: dict[str, tuple[str | None, ...]] = {}
    for key, value in read.items():
        # The benchmark fails at a value that is no text, unless Python takes it for false; then nothing equals it.
        usable = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) or not one]
        if not usable:
            return None, f"has no value under {key!r} that is a text"
        values[key] = tuple(one for one in usable if one is None or isinstance(one, str))
    return values, ""


def _loaded(text: str) -> Any:
    """Return what a text says in JSON, else in Python; None where it is neither. Raise one of `_UNREAD` otherwise."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return _EMPTY if (read := ast.literal_eval(text)) is None else read
    except (ValueError, SyntaxError):
        return None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield what reads as `key: value` in a text, in linear time: a run of words is looked at once."""
    place = 0
    while words := _WORDS.search(text, place):
        if value := _VALUE.match(text, words.end()):
            yield words[0].strip(), value[1].strip()
        place = value.end() if value else words.end()


def _plain(text: str) -> str:
    return text.lower().strip().replace("\n", " ").replace(" ", "")
