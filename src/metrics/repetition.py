"""Finds repetition loops: a passage that a model repeats many times in a row.

Four times "Сумма: 100. " gives "4 x 'Сумма: 100. '".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Characters of the longest passage that is searched: about a paragraph.
MAX_PERIOD = 300
_SHINGLE = 8
# Of a longer text only so many characters at either end are searched, which bounds the work for endless answers.
_LOOKED_AT = 20_000


def loop(text: str, min_repeats: int = 4, min_characters: int = 40) -> str:
    """Return the repeated passage and its count as text, or an empty text.

    A loop is a passage of 1 to 300 characters that occurs at least `min_repeats` times in a row and fills at least
    `min_characters` characters. Passages without a letter or digit (lines of dots or dashes) are layout, no loop.
    """
    shortest = max(min_characters, min_repeats)
    text = f"{text[:_LOOKED_AT]}{text[-_LOOKED_AT:]}" if len(text) > 2 * _LOOKED_AT else text
    if not _may_repeat(text, shortest, min_repeats):
        return ""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    for period in range(1, min(MAX_PERIOD, len(codes) // min_repeats) + 1):
        start, same = _longest_run(codes[period:] == codes[:-period])
        length = same + period
        if length >= shortest and length >= min_repeats * period:
            passage = text[start : start + period]
            if any(letter.isalnum() for letter in passage):
                return f"{length // period} x {passage!r}"
    return ""


def _may_repeat(text: str, shortest: int, min_repeats: int) -> bool:
    """Tell quickly whether a loop is possible: in a loop nearly all short substrings occur more than once."""
    shingles = len(text) - _SHINGLE + 1
    if len(text) < shortest:
        return False
    different = len({text[start : start + _SHINGLE] for start in range(shingles)})
    return shingles - different >= shortest - shortest // min_repeats - _SHINGLE


def _longest_run(same: NDArray[np.bool_]) -> tuple[int, int]:
    """Return (start, length) of the longest run of True in a vector."""
    breaks = np.flatnonzero(~same)
    edges = np.concatenate(([-1], breaks, [len(same)]))
    lengths = np.diff(edges) - 1
    longest = int(lengths.argmax())
    return int(edges[longest]) + 1, int(lengths[longest])
