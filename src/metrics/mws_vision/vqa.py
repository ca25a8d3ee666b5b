"""Questions on a document (`reasoning VQA ru`): a short answer must stand in the text, a long one be similar.

answer 'Итого: 1 200 руб.', accepted '1 200 руб.'  ->  1
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from metrics.mws_vision.task import OneScore, mean

TASK = "reasoning VQA ru"
_SHORT = 5  # words: from so many on an accepted answer is long
_LEAST = 0.5  # similarity of a long answer


class VisualQuestions(OneScore):
    """1 if a short accepted answer stands anywhere in the text; for a long one the similarity, 0 below one half.

    The best accepted answer counts. Letters are lower-cased, a line end is a space (vqa_metric.py, `vqa_evaluation`,
    for a list of answers). A short answer is found within a longer word or number as well: 5 stands in 15.
    """

    measures = (mean("mws_vqa", "mean of: 1 if a short answer is in the text; 1 - edits / longer length if >= 0.5"),)
    one_answer = False

    def __init__(self, task: str | None = TASK) -> None:
        super().__init__(task)

    def _value(self, answer: str, references: Sequence[str]) -> tuple[float, str]:
        return similarity(answer, references), ""


def similarity(answer: str, accepted: Sequence[str]) -> float:
    """Return the score of a text beside accepted answers, 0 to 1."""
    text, best = _plain(answer), 0.0
    for one in map(_plain, accepted):
        if len(one.split()) < _SHORT:
            best = max(best, float(one in text))
            continue
        longer = max(len(one), len(text))
        alike = 1 - Levenshtein.distance(text, one) / longer
        best = max(best, alike if alike >= _LEAST else 0.0)
    return best


def _plain(text: str) -> str:
    return text.lower().strip().replace("\n", " ")
