"""Tests whether a reference occurs anywhere in an answer: a score for answers that give the whole text of a page.

reference "Федорко":  answer "ПАСПОРТ № 431030 Имя Глеб Фамилия Федорко" -> 1;  answer "Имя Глеб" -> 0
reference "12":       answer "от 12.03.2024" -> 1;  answer "2012" -> 0, because 12 is part of another number
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from metrics.api import Case, Measure, Score
from metrics.normalisation import Normalisation
from metrics.text import TextMetric


class Found(TextMetric):
    """1 if one of the references occurs in the answer as whole words, else 0.

    Whole words: no letter or digit of the answer is adjacent to a letter or digit at either end of the reference. With
    the same normalisation `found` is never below `exact_match`. What else the answer contains does not matter: a text
    that repeats the whole page scores 1 for everything.
    """

    measures = (
        Measure(
            "found",
            "higher",
            "mean",
            0,
            1,
            "share of answers in which one of their references stands as a whole",
            "this project; as OCRBench counts (Liu et al. 2023), but for whole words",
        ),
    )

    def __init__(self, normalisation: Normalisation | Mapping[str, Any] | None = None) -> None:
        """Take no `fields`: a whole page is no date or amount, so it cannot be read as one before the comparison."""
        super().__init__(normalisation)

    def _scores(self, case: Case, prediction: str, references: list[str]) -> Iterator[Score]:
        value = float(any(stands_in(reference, prediction) for reference in references))
        yield Score(case.sample_id, case.repeat, "found", value, (value, 1.0))


def stands_in(reference: str, text: str) -> bool:
    """Tell whether `reference` occurs in `text` and no adjacent letter or digit continues it."""
    start = text.find(reference)
    while start >= 0:
        end = start + len(reference)
        if not _continues(text[start - 1 : start], reference[0]) and not _continues(text[end : end + 1], reference[-1]):
            return True
        start = text.find(reference, start + 1)
    return False


def _continues(neighbour: str, edge: str) -> bool:
    return neighbour.isalnum() and edge.isalnum()
