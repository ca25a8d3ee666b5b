"""ANLS*: how similar two JSON values are, from 0 to 1, with lists compared regardless of their order.

    reference {"номер": "12", "позиции": [{"цена": "5"}, {"цена": "7"}]}
    answer    {"номер": "12", "позиции": [{"цена": "7"}]}                  ->  2/3: номер and one of two prices

Peer et al. 2024, "ANLS* - A Universal Document Processing Metric for Generative Large Language Models"
(arXiv 2402.03848). The paper's authors publish the package `anls-star`; this module gives the values of its version
1.0.1, quirks included, in a fraction of the time: docs/metrics.md lists where the two differ. Each leaf of the two
trees is one unit. The score is the sum of the similarities of paired leaves over the number of units.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

if TYPE_CHECKING:
    from metrics.api import Array

# What a similarity of exactly the threshold counts: `paper` 0, as the formula of Biten et al. 2019 says (s = 1 - NL if
# NL < 0.5, else 0); `docvqa` 0.5, as the evaluation script of DocVQA and the package anls-star compute it.
AtThreshold = Literal["paper", "docvqa"]

_FEW = 12  # comparisons of texts for which calling numpy takes longer
_NULLS: tuple[Any, ...] = (None, {}, [], "")


def checked(at_threshold: object) -> AtThreshold:
    """Return the setting. Raise ValueError for any other word."""
    if at_threshold not in get_args(AtThreshold):
        raise ValueError(f"at_threshold is {at_threshold!r}; valid: {', '.join(get_args(AtThreshold))}")
    return at_threshold  # type: ignore[return-value]


def similarity(first: str, second: str, threshold: float = 0.5, at_threshold: AtThreshold = "docvqa") -> float:
    """Return 1 - NL, or 0 if NL lies beyond `threshold`; NL is the number of edits over the length of the longer."""
    if first == second:
        return 1.0
    return kept(Levenshtein.distance(first, second) / max(len(first), len(second)), threshold, at_threshold)


def kept(distance: float, threshold: float, at_threshold: AtThreshold) -> float:
    """Return 1 - NL of a distance NL, or 0 where the threshold cuts it off."""
    within = distance < threshold if at_threshold == "paper" else distance <= threshold
    return 1 - distance if within else 0.0


def anls_star(references: Sequence[Any], answer: Any, at_threshold: AtThreshold = "docvqa") -> float:
    """Return the ANLS* of an answer with the reference that it is most similar to.

    Both are JSON values whose leaves are texts (normalised as they are to be compared) or None.
    """
    best = (-1.0, False)
    for reference in references:
        total, length = _compared(reference, answer, at_threshold)
        best = max(best, (total / length if length else 1.0, reference == answer))
    return best[0]


def units(value: Any) -> int:
    """Count the leaves of a value; null is a leaf, an empty list or object has none."""
    if isinstance(value, dict):
        return sum(map(units, value.values()))
    return sum(map(units, value)) if isinstance(value, list) else 1


def _compared(reference: Any, answer: Any, at_threshold: AtThreshold) -> tuple[float, int]:
    """Return the sum of the similarities of paired leaves, and the number of units."""
    if isinstance(reference, str):
        return (
            (similarity(reference, answer, at_threshold=at_threshold), 1)
            if isinstance(answer, str)
            else (0.0, max(1, units(answer)))
        )
    if isinstance(reference, dict):
        if isinstance(answer, dict):
            return _objects(reference, answer, at_threshold)
        return 0.0, max(units(reference), units(answer))
    if isinstance(reference, list):
        if isinstance(answer, list):
            return _lists(reference, answer, at_threshold)
        return 0.0, max(units(reference), units(answer))
    return float(answer in _NULLS), max(1, units(answer))


def _objects(reference: dict[str, Any], answer: dict[str, Any], at_threshold: AtThreshold) -> tuple[float, int]:
    total, length = 0.0, 0
    for key, wanted in reference.items():
        part, part_length = _compared(wanted, answer.get(key), at_threshold)
        total, length = total + part, length + part_length
    # A null under a key that the reference lacks counts as a unit and earns nothing: so does the package.
    if len(answer) > len(reference) or not answer.keys() <= reference.keys():
        length += sum(max(1, units(given)) for key, given in answer.items() if key not in reference)
    return total, length


def _lists(reference: list[Any], answer: list[Any], at_threshold: AtThreshold) -> tuple[float, int]:
    """Pair the items so that the sum of their scores is highest; items that are left over count as units."""
    total: float
    length: int
    if (matched := equal_pairs(reference, answer)) is not None:
        total = length = sum(units(reference[row]) for row, _ in matched)
    elif (sums := similarity_of_rows(reference, answer, at_threshold)) is not None:
        width = len(reference[0])
        matched = assignment(sums / width)
        total, length = sum(float(sums[row, column]) for row, column in matched), width * len(matched)
    else:
        pairs = [[_compared(wanted, given, at_threshold) for given in answer] for wanted in reference]
        # Of equal scores that of equal values is preferred, as in the package.
        scores = [
            [
                math.nextafter(1.0, math.inf) if wanted == given else total / length if length else 1.0
                for given, (total, length) in zip(answer, row, strict=True)
            ]
            for wanted, row in zip(reference, pairs, strict=True)
        ]
        matched = assignment(scores)
        total = sum(pairs[row][column][0] for row, column in matched)
        length = sum(pairs[row][column][1] for row, column in matched)
    if len(matched) < max(len(reference), len(answer)):
        rows, columns = {row for row, _ in matched}, {column for _, column in matched}
        length += sum(units(item) for row, item in enumerate(reference) if row not in rows)
        length += sum(units(item) for column, item in enumerate(answer) if column not in columns)
    return total, length


def similarity_of_rows(first: Sequence[Any], second: Sequence[Any], at_threshold: AtThreshold) -> Array | None:
    """Return the sum over keys of the similarities of each two rows (len(first), len(second)).

    None unless all rows are objects with the same keys and a text under each. A column is compared as a whole, which
    takes a tenth of the time of single texts.
    """
    keys = first[0].keys() if first and isinstance(first[0], dict) else ()
    if len(first) * len(second) * len(keys) < _FEW or not all(_is_row(row, keys) for row in (*first, *second)):
        return None
    import numpy as np

    sums = np.zeros((len(first), len(second)))
    for key in keys:
        columns = [[row[key] for row in rows] for rows in (first, second)]
        similarities = process.cdist(*columns, scorer=Levenshtein.normalized_similarity, dtype=np.float64)
        similarities[similarities <= 0.5 if at_threshold == "paper" else similarities < 0.5] = 0.0
        sums += similarities
    return sums


def _is_row(row: Any, keys: Collection[str]) -> bool:
    return isinstance(row, dict) and row.keys() == keys and all(isinstance(text, str) for text in row.values())


def equal_pairs(reference: Sequence[Any], answer: Sequence[Any]) -> list[tuple[int, int]] | None:
    """Return pairs of equal items where each item of the shorter side has a partner, else None.

    No pairing has a higher sum, since no two items are more similar than equal ones.
    """
    is_shorter = len(reference) <= len(answer)
    short, long = (reference, answer) if is_shorter else (answer, reference)
    free, pairs = list(range(len(long))), []
    for at, item in enumerate(short):
        place = next((place for place in free if long[place] == item), None)
        if place is None:
            return None
        free.remove(place)
        pairs.append((at, place) if is_shorter else (place, at))
    return pairs


def assignment(scores: Sequence[Sequence[float]] | Array) -> list[tuple[int, int]]:
    """Return the pairs (row, column) with the highest sum of scores, sorted by row.

    The shorter side is paired as a whole. `scipy.optimize.linear_sum_assignment` (Crouse 2016, "On implementing 2D
    rectangular assignment algorithms") finds them.
    """
    if not len(scores) or not len(scores[0]):
        return []
    if len(scores) == len(scores[0]) == 1:
        return [(0, 0)]
    import numpy as np
    from scipy.optimize import linear_sum_assignment  # here, because it is slow to import

    rows, columns = linear_sum_assignment(np.asarray(scores), maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
