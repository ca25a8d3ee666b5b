"""Structured answers: the JSON object or list in an answer, scored key by key against the one in the reference.

answer 'Вот: ```json {"Фамилия": "Иванов", "Год": 2001}```', reference '{"Фамилия": "Петров", "Год": "2001"}'
->  json_valid 1, json_match 1/2 (part Фамилия 0, part Год 1), json_cer 4/10, json_invented 0/2
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein

from metrics import json_answers
from metrics.api import Case, Measure, Score
from metrics.fields import FieldKinds
from metrics.normalisation import Normalisation, visible
from metrics.statistics import ratio_of_sums
from metrics.text import prepare, unscored

if TYPE_CHECKING:
    from metrics.api import Array

_SOURCE = "this project"
_MOST_DIGITS = 400  # longer numbers stay in exponent form: 1e999999999 written out would fill the memory


def flat(value: Any, path: str = "") -> dict[str, str]:
    """Return the leaves of a JSON value as text by path (`items[0].price`), without null and empty leaves."""
    leaves: dict[str, str] = {}
    if isinstance(value, dict):
        for key, inner in value.items():
            leaves |= flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            leaves |= flat(inner, f"{path}[{number}]")
    elif value is not None and (text := json_text(value)).strip():
        leaves[path] = text
    return leaves


class StructuredAnswers:
    """Compares JSON keys and values. A case is unscored if its reference contains no JSON object or list.

    `json_answers` decides which JSON of an answer counts. Lists are compared element by element (`[0].name`). An object
    equals a list that contains only this object. An answer with broken or no JSON is an answer: `json_valid` is 0 and
    every key is wrong. Null and the empty string equal a missing key. `normalisation` applies to all values; `fields`
    sets the kinds of single keys (`metrics.fields`). Scores of single keys have the key as their `part`.
    """

    env = "current"
    measures = (
        Measure("json_valid", "higher", "mean", 0, 1, "share of answers with a whole JSON object or list", _SOURCE),
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
        self.normalisation = Normalisation().with_options(normalisation)
        self.fields = FieldKinds.of(fields)
        self._reference = lru_cache(maxsize=10_000)(self._of_reference)

    @property
    def version(self) -> str:
        """Definition, normalisation and kinds of keys: what decides the numbers."""
        return f"3 {self.normalisation} {self.fields}".rstrip()

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure, and for each key of the reference its match and CER as parts."""
        for case in cases:
            reason, prediction, references = prepare(case, str)
            wanted = [value for text in references if flat(value := self._reference(text))]
            if not reason and not wanted:
                reason = "the reference is no JSON object or list with a value"
            if reason:
                yield from unscored(case, self.measures, reason)
                continue
            of_scalars = any(map(json_answers.is_of_scalars, wanted))
            match = json_answers.find(self._seen(prediction), of_scalars=of_scalars)
            compared = [self._compared(case, match.value, value) for value in wanted]
            yield from _scores(case, match, min(compared, key=_Compared.rank))

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (numerator, denominator), shape (..., 2), into ratios, shape (...)."""
        return ratio_of_sums(totals)

    def _seen(self, text: str) -> str:
        return visible(text) if self.normalisation.invisible else text

    def _of_reference(self, text: str) -> Any:
        return json_answers.of_reference(self._seen(text))

    def _compared(self, case: Case, answer: Any, reference: Any) -> _Compared:
        if isinstance(reference, dict) and isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
        elif isinstance(reference, list) and isinstance(answer, dict):
            answer = [answer]
        return _Compared(self._read(case, flat(answer)), self._read(case, flat(reference)))

    def _read(self, case: Case, leaves: Mapping[str, str]) -> dict[str, str]:
        """Return normalised values by key. `fields` may name a key as `doc_class/key` or `key`."""
        values = {}
        for key, text in leaves.items():
            read = self.fields.reader(case.doc_class, key)
            values[key] = self.normalisation(read(text) if read else text)
        return values


class _Compared:
    """The comparison of an answer with one reference: `keys` maps each key to (equal, edits, characters)."""

    def __init__(self, answer: Mapping[str, str], reference: Mapping[str, str]) -> None:
        self.answered = len(answer)
        self.keys = {
            key: (answer.get(key, "") == value, Levenshtein.distance(answer.get(key, ""), value), len(value))
            for key, value in reference.items()
        }
        self.invented = sum(key not in reference for key in answer)
        self.reference = tuple(sorted(reference.items()))

    def rank(self) -> tuple[float, int, tuple[tuple[str, str], ...]]:
        """Return a sort key: most equal keys first, then fewest invented keys, independent of the input order."""
        return -sum(equal for equal, _, _ in self.keys.values()) / len(self.keys), self.invented, self.reference


def _scores(case: Case, match: json_answers.JsonMatch, best: _Compared) -> Iterator[Score]:
    """Yield the scores of one case and of its keys."""
    right = sum(equal for equal, _, _ in best.keys.values())
    edits, characters = (sum(counts[at] for counts in best.keys.values()) for at in (1, 2))
    wrong = ", ".join(key for key, (equal, _, _) in best.keys.items() if not equal)
    detail = match.reason
    if match.repeated:
        detail = f"given twice, the last holds: {', '.join(dict.fromkeys(match.repeated))}"[:500]
    yield _score(case, "json_valid", float(match.value is not None), 1.0, detail=detail)
    yield _score(case, "json_match", right, len(best.keys), detail=detail or (f"wrong: {wrong[:500]}" if wrong else ""))
    yield _score(case, "json_cer", edits, max(characters, 1))
    # An answer without keys invents nothing and does not change the ratio.
    share = best.invented / best.answered if best.answered else 0.0
    yield Score(case.sample_id, case.repeat, "json_invented", share, (float(best.invented), float(best.answered)))
    for key, (equal, key_edits, key_characters) in best.keys.items():
        yield _score(case, "json_match", float(equal), 1.0, part=key)
        yield _score(case, "json_cer", key_edits, max(key_characters, 1), part=key)


def _score(case: Case, name: str, numerator: float, denominator: float, part: str = "", detail: str = "") -> Score:
    stats = (float(numerator), float(denominator))
    return Score(case.sample_id, case.repeat, name, numerator / denominator, stats, part=part, detail=detail)


def json_text(value: Any) -> str:
    """Return a leaf as text, so that 2001 equals "2001", and 5.0 and 5e0 equal 5."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value):
        value = Decimal(repr(value))
    if isinstance(value, Decimal) and abs(value.adjusted()) <= _MOST_DIGITS:
        plain = f"{value:f}"
        return (plain.rstrip("0").rstrip(".") if "." in plain else plain) if value else "0"
    return str(value)
