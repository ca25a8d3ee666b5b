"""Compares what was extracted from a document with what should have been, key by key.

    reference {"номер": "12", "позиции": [{"имя": "Болт", "цена": "5"}, {"имя": "Гайка", "цена": "7"}], "скидка": null}
    answer    {"номер": "12", "позиции": [{"имя": "Гайка", "цена": "7"}], "скидка": "0"}
    ->  right: номер, позиции[].имя, позиции[].цена; missing: позиции[].имя, позиции[].цена; invented: скидка

The items of a list, line items above all, are paired regardless of their order, so that a dropped row doesn't shift the
others. A tree is a JSON value whose leaves are texts that were normalised, or None where there is no value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics.anls_star import assignment, equal_pairs, similarity, similarity_of_rows

Leaf = tuple[str, str | None]  # key and value
Tree = Any  # dict[str, Tree] | list[Tree] | str | None
_EQUAL = 1e-9  # what an equal value adds to its similarity, so that of equal sums the one with more equal values wins


@dataclass(slots=True)
class Counts:
    """Values under one key: `right` are equal ones, `answered` those of the answer, `wanted` those of the reference."""

    right: int = 0
    answered: int = 0
    wanted: int = 0


@dataclass(slots=True)
class Extraction:
    """What a comparison found. A key is a path without numbers: `позиции[].цена`.

    `wrong` lists the keys of values that differ, `missing` of those that the answer lacks, `invented` of those that it
    gives where the reference has none; a key stands there once for each value. `nulls` counts the keys that are null in
    the reference, `nulls_right` those of them that the answer leaves without a value.
    """

    keys: dict[str, Counts] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    right: int = 0
    nulls: int = 0
    nulls_right: int = 0

    @property
    def wanted(self) -> int:
        """Values of the reference."""
        return self.right + len(self.wrong) + len(self.missing)

    @property
    def answered(self) -> int:
        """Values of the answer."""
        return self.right + len(self.wrong) + len(self.invented)

    @property
    def f1(self) -> float:
        """2 x right / (answered + wanted); 1 where there is nothing to extract and nothing was."""
        both = self.answered + self.wanted
        return 2 * self.right / both if both else 1.0

    @property
    def is_right(self) -> bool:
        """Whether every key is right and none was invented."""
        return not (self.wrong or self.missing or self.invented)


def compare(reference: Tree, answer: Tree) -> Extraction:
    """Compare two trees."""
    result = Extraction()
    _compare(result, reference, answer, "")
    return result


def leaves(tree: Tree, key: str = "") -> Iterator[Leaf]:
    """Yield the leaves of a tree with their keys. An empty object or list is a leaf without a value."""
    if isinstance(tree, dict) and tree:
        for name, inner in tree.items():
            yield from leaves(inner, f"{key}.{name}" if key else name)
    elif isinstance(tree, list) and tree:
        for inner in tree:
            yield from leaves(inner, f"{key}[]")
    else:
        yield key, tree if isinstance(tree, str) else None


def _compare(result: Extraction, reference: Tree, answer: Tree, key: str) -> None:
    if isinstance(answer, list) and len(answer) == 1 and isinstance(reference, dict | str):
        answer = answer[0]  # a list that holds one value and the value itself are the same
    elif isinstance(reference, list) and reference and isinstance(answer, dict | str):
        answer = [answer]
    if isinstance(reference, str) and isinstance(answer, str):
        _pair(result, key, equal=reference == answer)
    elif isinstance(reference, dict) and reference and (answer is None or isinstance(answer, dict)):
        given = answer or {}
        for name, inner in reference.items():
            _compare(result, inner, given.get(name), f"{key}.{name}" if key else name)
        for name, inner in given.items():
            if name not in reference:
                _extra(result, leaves(inner, f"{key}.{name}" if key else name))
    elif isinstance(reference, list) and reference and isinstance(answer, list):
        _items(result, reference, answer, f"{key}[]")
    else:
        _lacking(result, leaves(reference, key), leaves(answer, key))


def _pair(result: Extraction, key: str, *, equal: bool) -> None:
    counts = result.keys.setdefault(key, Counts())
    counts.answered += 1
    counts.wanted += 1
    if equal:
        counts.right += 1
        result.right += 1
    else:
        result.wrong.append(key)


def _lacking(result: Extraction, wanted: Iterable[Leaf], given: Iterable[Leaf]) -> None:
    """Count leaves of a reference without a partner, as missing or as null. `given` is what stands in their place."""
    values = [key for key, text in given if text is not None]
    for key, text in wanted:
        if text is not None:
            result.keys.setdefault(key, Counts()).wanted += 1
            result.missing.append(key)
        else:
            result.nulls += 1
            result.nulls_right += not values
    for key in values:
        result.keys.setdefault(key, Counts()).answered += 1
        result.invented.append(key)


def _extra(result: Extraction, given: Iterable[Leaf]) -> None:
    """Count the values of an answer under a key that the reference doesn't have."""
    _lacking(result, (), given)


def _items(result: Extraction, reference: Sequence[Tree], answer: Sequence[Tree], key: str) -> None:
    pairs = _paired(reference, answer)
    for row, column in pairs.items():
        _compare(result, reference[row], answer[column], key)
    for row, item in enumerate(reference):
        if row not in pairs:
            # The nulls of a row that was dropped are not right, since nothing was said of them.
            _lacking(result, (leaf for leaf in leaves(item, key) if leaf[1] is not None), ())
    taken = set(pairs.values())
    for column, item in enumerate(answer):
        if column not in taken:
            _extra(result, leaves(item, key))


def _paired(reference: Sequence[Tree], answer: Sequence[Tree]) -> dict[int, int]:
    """Return which item of the answer belongs to which of the reference: those that are most similar in all.

    Items that have nothing in common are not paired.
    """
    if (equal := equal_pairs(reference, answer)) is not None:
        return dict(equal)
    if (sums := similarity_of_rows(reference, answer, "docvqa")) is not None:
        return {row: column for row, column in assignment(sums) if sums[row, column] > 0}
    wanted, given = ([dict(_numbered(item)) for item in items] for items in (reference, answer))
    scores = [[_alike(reference_item, answer_item) for answer_item in given] for reference_item in wanted]
    return {row: column for row, column in assignment(scores) if scores[row][column] > 0}


def _alike(wanted: dict[str, str], given: dict[str, str]) -> float:
    """Return the sum of the similarities of the values that two items have under the same keys."""
    total = 0.0
    for key, text in wanted.items():
        if (answer_item := given.get(key)) is not None:
            total += 1 + _EQUAL if text == answer_item else similarity(text, answer_item)
    return total


def _numbered(tree: Tree, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of an item with their places."""
    if isinstance(tree, dict):
        for name, inner in tree.items():
            yield from _numbered(inner, f"{key}.{name}")
    elif isinstance(tree, list):
        for number, inner in enumerate(tree):
            yield from _numbered(inner, f"{key}[{number}]")
    elif tree is not None:
        yield key, tree


def tree(value: Any, leaf: Callable[[Any, str], str], key: str = "") -> Tree:
    """Return a JSON value as a tree; `leaf` turns a text, number or truth value under a key into the text compared."""
    if isinstance(value, dict):
        return {str(name): tree(inner, leaf, f"{key}.{name}" if key else str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [tree(inner, leaf, f"{key}[]") for inner in value]
    return None if value is None else leaf(value, key) or None
