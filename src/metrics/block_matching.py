"""Says which blocks of an answer are which blocks of the reference, whatever their order and however they are cut.

wanted [abcdef, xyz], predicted [xyz, abc, def]  ->  {abcdef: abc + def}, {xyz: xyz}
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

ALIKE = 0.7  # texts further apart than this (edits / length of the longer one) are not the same block
_GRAM = 5  # letters that a part of a block must have in common with it in a row
_COMMON = 0.5  # share of its letters' runs that a part has in common with the whole


@dataclass(slots=True)
class Pair:
    """Blocks that stand for the same text: numbers of `wanted` and of `predicted`, both without a gap."""

    wanted: range
    predicted: range


def match(wanted: Sequence[str], predicted: Sequence[str]) -> list[Pair]:
    """Return which blocks belong together, in the order of `wanted`. A block that is in no pair is missing or extra.

    Equal blocks are paired first, then the closest (the assignment with the smallest sum of distances), then parts of a
    block that was cut otherwise; at last neighbours of a pair that make it more alike.
    """
    pairs = list(_equal(wanted, predicted))
    free, open_ = left(wanted, predicted, pairs)
    if free and open_:
        pairs += _closest(wanted, predicted, free, open_)
        free, open_ = left(wanted, predicted, pairs)
    if free and open_:
        pairs += _parts(wanted, predicted, free, open_)
        free, open_ = left(wanted, predicted, pairs)
        pairs += [Pair(pair.predicted, pair.wanted) for pair in _parts(predicted, wanted, open_, free)]
        free, open_ = left(wanted, predicted, pairs)
    if free or open_:
        _grow(wanted, predicted, pairs, set(free), set(open_))
    return sorted(pairs, key=lambda pair: pair.wanted.start)


def closest(wanted: Sequence[str], predicted: Sequence[str], alike: float) -> dict[int, int]:
    """Return the number of `predicted` for each number of `wanted`: the assignment with the smallest sum of distances.

    Texts are not paired if edits / length of the longer one reaches `alike`. Ties go to the order of the page.
    """
    if not wanted or not predicted:
        return {}
    costs = process.cdist(
        wanted, predicted, scorer=Levenshtein.normalized_distance, score_cutoff=min(alike, 1.0), dtype=np.float64
    )
    away = np.abs(np.arange(len(wanted))[:, None] / len(wanted) - np.arange(len(predicted))[None] / len(predicted))
    rows, columns = linear_sum_assignment(np.minimum(costs, 1.0) + 1e-6 * away)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if costs[row, column] < alike}


def _equal(wanted: Sequence[str], predicted: Sequence[str]) -> Iterator[Pair]:
    """Yield equal blocks, those that stand several times in their order."""
    places: dict[str, deque[int]] = defaultdict(deque)
    for number, text in enumerate(predicted):
        places[text].append(number)
    for number, text in enumerate(wanted):
        if waiting := places.get(text):
            place = waiting.popleft()
            yield Pair(range(number, number + 1), range(place, place + 1))


def left(wanted: Sequence[str], predicted: Sequence[str], pairs: Sequence[Pair]) -> tuple[list[int], list[int]]:
    """Return the numbers of blocks that are in no pair, of both sides."""
    taken = {number for pair in pairs for number in pair.wanted}
    used = {number for pair in pairs for number in pair.predicted}
    return (
        [number for number in range(len(wanted)) if number not in taken],
        [number for number in range(len(predicted)) if number not in used],
    )


def _closest(wanted: Sequence[str], predicted: Sequence[str], free: list[int], open_: list[int]) -> Iterator[Pair]:
    chosen = closest([wanted[number] for number in free], [predicted[number] for number in open_], ALIKE)
    for free_place, open_place in chosen.items():
        yield Pair(range(free[free_place], free[free_place] + 1), range(open_[open_place], open_[open_place] + 1))


def _parts(wholes: Sequence[str], parts: Sequence[str], free: list[int], open_: list[int]) -> list[Pair]:
    """Pair whole blocks with the longest of their parts, `wanted` being the wholes."""
    pairs: list[Pair] = []
    runs = {number: _runs(parts[number]) for number in open_ if len(parts[number]) >= _GRAM}
    for whole in free:
        text = wholes[whole]
        of_whole = _runs(text)
        best = max(
            (
                (len(parts[number]), -number)
                for number, its in runs.items()
                if len(parts[number]) < len(text) and len(its & of_whole) >= _COMMON * len(its)
            ),
            default=None,
        )
        if best is not None:
            part = -best[1]
            del runs[part]
            pairs.append(Pair(range(whole, whole + 1), range(part, part + 1)))
    return pairs


def _runs(text: str) -> set[str]:
    return {text[place : place + _GRAM] for place in range(len(text) - _GRAM + 1)}


def _grow(wanted: Sequence[str], predicted: Sequence[str], pairs: list[Pair], free: set[int], open_: set[int]) -> None:
    """Add to pairs the neighbours that are in no pair and whose text the other side has."""
    texts, left_over, waiting = (wanted, predicted), (free, open_), deque(pairs)
    while waiting and (free or open_):
        pair = waiting.popleft()
        spans = [pair.wanted, pair.predicted]
        joined = [_joined(texts[side], spans[side]) for side in (0, 1)]
        edits = Levenshtein.distance(*joined)
        if not edits:
            continue
        for after, side in itertools.product((True, False), (0, 1)):
            while (number := spans[side].stop if after else spans[side].start - 1) in left_over[side]:
                added = texts[side][number]
                longer = joined[side] + added if after else added + joined[side]
                changed = Levenshtein.distance(longer, joined[1 - side])
                if not _belongs(edits, changed, added):
                    break
                left_over[side].remove(number)
                joined[side], edits, spans[side] = longer, changed, _with(spans[side], number)
        pair.wanted, pair.predicted = spans


def _belongs(edits: int, changed: int, added: str) -> bool:
    """Tell whether the other side has the text of a block that was added.

    A block that is wholly there lowers the edits by its length, one that isn't raises them by up to as much.
    """
    return edits + len(added) - changed > 2 * ALIKE * len(added)


def _with(numbers: range, number: int) -> range:
    return range(min(numbers.start, number), max(numbers.stop, number + 1))


def _joined(texts: Sequence[str], numbers: range) -> str:
    return texts[numbers.start] if len(numbers) == 1 else "".join(texts[number] for number in numbers)
