"""Whether a reference stands anywhere in an answer: what the whole text of a page can be held against.

reference "Федорко":  answer "ПАСПОРТ № 431030 Имя Глеб Фамилия Федорко" -> 1;  answer "Имя Глеб" -> 0
reference "12":       answer "от 12.03.2024" -> 1;  answer "2012" -> 0, it is a part of another number
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from metrics.api import Case, Measure, Score
from metrics.normalisation import Normalisation
from metrics.text import TextMetric


class Found(TextMetric):
    """1 where one of the references stands in the answer as a whole, else 0.

    As a whole: the letter or digit at either end of the reference has no further letter or digit beside it. An answer
    that equals its reference has found it, so `found` is never below `exact_match` of the same normalisation. It says
    nothing of what else the answer holds: a text that repeats the whole page finds everything.
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
        """Take no `fields`: a whole text is no date or amount, so its values can't be read before it is compared."""
        super().__init__(normalisation)

    def _scores(self, case: Case, prediction: str, references: list[str]) -> Iterator[Score]:
        value = float(any(stands_in(reference, prediction) for reference in references))
        yield Score(case.sample_id, case.repeat, "found", value, (value, 1.0))


def stands_in(reference: str, text: str) -> bool:
    """Whether `reference` stands in `text`, no letter or digit continuing it on either side."""
    start = text.find(reference)
    while start >= 0:
        end = start + len(reference)
        if not _continues(text[start - 1 : start], reference[0]) and not _continues(text[end : end + 1], reference[-1]):
            return True
        start = text.find(reference, start + 1)
    return False


def _continues(neighbour: str, edge: str) -> bool:
    return neighbour.isalnum() and edge.isalnum()
