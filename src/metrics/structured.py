"""Structured answers: the JSON object in an answer, scored key by key against the one in the reference.

answer 'Вот: ```json {"Фамилия": "Иванов", "Год": 2001}```', reference '{"Фамилия": "Петров", "Год": "2001"}'
->  json_valid 1, json_match 1/2 (part Фамилия 0, part Год 1), json_cer 4/10, json_invented 0/2
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein

from metrics.api import Case, Measure, Score
from metrics.fields import FieldKinds
from metrics.normalisation import Normalisation
from metrics.statistics import ratio_of_sums
from metrics.text import prepare, unscored

if TYPE_CHECKING:
    from metrics.api import Array

_SOURCE = "this project"
# Beginnings of objects that are tried; an answer with more braces than this is no JSON but noise.
_MAX_STARTS = 200


def extract(text: str) -> dict[str, Any] | None:
    """Return the longest JSON object that stands in a text (in a code fence or among words), or None."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    best, length, start = None, 0, text.find("{")
    for _ in range(_MAX_STARTS):
        if start < 0:
            break
        try:
            found, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        if isinstance(found, dict) and end - start > length:
            best, length = found, end - start
        start = text.find("{", end)
    return best


def flat(value: Any, path: str = "") -> dict[str, str]:
    """Return the leaves of a JSON value by path (`items[0].price`) as text; null and empty ones are left out."""
    leaves: dict[str, str] = {}
    if isinstance(value, dict):
        for key, inner in value.items():
            leaves |= flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            leaves |= flat(inner, f"{path}[{number}]")
    elif value is not None and (text := _text(value)).strip():
        leaves[path] = text
    return leaves


class StructuredAnswers:
    """JSON keys and values. A reference that is no JSON object leaves the case unscored.

    An answer without a JSON object is an answer: `json_valid` 0, every key wrong. Null and the empty string mean that
    a key has no value, which is the same as its absence. `fields` reads values by key (`metrics.fields`), as
    `normalisation` does for all. Scores of single keys carry the key as their part.
    """

    env = "current"
    measures = (
        Measure("json_valid", "higher", "mean", 0, 1, "share of answers with a JSON object", _SOURCE),
        Measure("json_match", "higher", "corpus", 0, 1, "keys with an equal value / keys of the references", _SOURCE),
        Measure(
            "json_cer", "lower", "corpus", 0, None, "sum of edits / sum of characters of all values", _SOURCE, worst=1
        ),
        Measure(
            "json_invented", "lower", "corpus", 0, 1, "keys with a value where there is none / keys answered", _SOURCE
        ),
    )

    def __init__(
        self,
        normalisation: Normalisation | Mapping[str, Any] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        if normalisation is not None and not isinstance(normalisation, Normalisation | Mapping):
            raise TypeError(f"normalisation is {normalisation!r}; give its options by name, such as {{yo: true}}")
        given = normalisation or {}
        self.normalisation = given if isinstance(given, Normalisation) else Normalisation().changed(given)
        self.fields = FieldKinds.of(fields)
        self._reference = lru_cache(maxsize=10_000)(extract)

    @property
    def version(self) -> str:
        """Definition, normalisation and kinds of keys: what decides the numbers."""
        return f"1 {self.normalisation} {self.fields}".rstrip()

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure, and for each key of the reference its match and CER as parts."""
        for case in cases:
            reason, prediction, references = prepare(case, str)
            wanted = [keys for text in references if (keys := flat(self._reference(text)))]
            if not reason and not wanted:
                reason = "the reference is no JSON object with a value"
            if reason:
                yield from unscored(case, self.measures, reason)
                continue
            found = extract(prediction)
            answer = self._read(case, flat(found))
            compared = [_Compared(answer, self._read(case, keys)) for keys in wanted]
            yield from _scores(case, found is not None, answer, min(compared, key=_Compared.rank))

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (numerator, denominator), shape (..., 2), into ratios, shape (...)."""
        return ratio_of_sums(totals)

    def _read(self, case: Case, leaves: Mapping[str, str]) -> dict[str, str]:
        """Return normalised values by key; a key's kind may be named by `doc_class/key` or `key`."""
        values = {}
        for key, text in leaves.items():
            read = self.fields.reader(case.doc_class, key)
            values[key] = self.normalisation(read(text) if read else text)
        return values


class _Compared:
    """One answer against one reference: for each key of the reference (equal, edits, characters)."""

    def __init__(self, answer: Mapping[str, str], reference: Mapping[str, str]) -> None:
        self.keys = {
            key: (answer.get(key, "") == value, Levenshtein.distance(answer.get(key, ""), value), len(value))
            for key, value in reference.items()
        }
        self.invented = sum(key not in reference for key in answer)
        self.reference = tuple(sorted(reference.items()))

    def rank(self) -> tuple[float, int, tuple[tuple[str, str], ...]]:
        """Order references: most equal keys first, then fewest invented; the order they are given in has no part."""
        return -sum(equal for equal, _, _ in self.keys.values()) / len(self.keys), self.invented, self.reference


def _scores(case: Case, valid: bool, answer: Mapping[str, str], best: _Compared) -> Iterator[Score]:
    """Yield the scores of one case and of its keys."""
    right = sum(equal for equal, _, _ in best.keys.values())
    edits, characters = (sum(one[at] for one in best.keys.values()) for at in (1, 2))
    wrong = ", ".join(key for key, (equal, _, _) in best.keys.items() if not equal)
    detail = "" if valid else "no JSON object in the answer"
    yield _score(case, "json_valid", float(valid), 1.0, detail=detail)
    yield _score(case, "json_match", right, len(best.keys), detail=detail or (f"wrong: {wrong[:500]}" if wrong else ""))
    yield _score(case, "json_cer", edits, max(characters, 1))
    # An answer without keys invents nothing and adds nothing to the ratio.
    share = best.invented / len(answer) if answer else 0.0
    yield Score(case.sample_id, case.repeat, "json_invented", share, (float(best.invented), float(len(answer))))
    for key, (equal, key_edits, key_characters) in best.keys.items():
        yield _score(case, "json_match", float(equal), 1.0, part=key)
        yield _score(case, "json_cer", key_edits, max(key_characters, 1), part=key)


def _score(case: Case, name: str, numerator: float, denominator: float, part: str = "", detail: str = "") -> Score:
    stats = (float(numerator), float(denominator))
    return Score(case.sample_id, case.repeat, name, numerator / denominator, stats, part=part, detail=detail)


def _text(value: Any) -> str:
    """Return a leaf as text: 2001 and "2001" are equal, true is true, 5.0 is 5."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return str(value)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
