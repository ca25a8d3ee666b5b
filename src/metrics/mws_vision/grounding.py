"""Where something is on the page (`text grounding ru`): intersection over union of the last box of the answer.

answer 'Печать: [100, 100, 200, 200]', reference '[100, 100, 200, 150]'  ->  0.5
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from metrics.mws_vision.task import OneScore, mean

TASK = "text grounding ru"
_NUMBER = r"(\d+\.?\d*)"
_BOX = re.compile(r"[(\[]\s*" + r"\s*,\s*".join([_NUMBER] * 4) + r"\s*[)\]]")
_MOST = 2048  # pixels; a box with a larger number is passed over
_NO_BOX = "no box in the answer"

Box = tuple[float, float, float, float]


class TextGrounding(OneScore):
    """Intersection over union of the last box in the answer and that of the reference, in pixels as they are written.

    A box is four numbers without a sign in round or square brackets; one with a number above 2048 is passed over, and
    an answer without a box is 0 (iou_metric.py). No frame is considered: a model that writes thousandths, or pixels of
    a resized picture, scores near 0. The metric `grounding` does consider it.
    """

    still_pages = True  # a box of the benchmark is not moved along with a page that is tilted (dataset.degrade)
    measures = (mean("mws_grounding", "mean IoU of the last box in the answer and the reference's; 0 without a box"),)

    def __init__(self, task: str | None = TASK) -> None:
        super().__init__(task)

    def _value(self, answer: str, references: Sequence[str]) -> tuple[float, str]:
        given, wanted = last_box(answer), reference_box(references[0])
        if wanted is None:
            return 0.0, f"the benchmark gives 0 to any answer here: its answer is no box: {references[0][:100]}"
        return (0.0, _NO_BOX) if given is None else (_overlap(given, wanted), f"box {list(given)}")


def last_box(text: str) -> Box | None:
    """Return the last box in a text whose numbers are all up to 2048; None where there is none."""
    found: Box | None = None
    for match in _BOX.finditer(text):
        left, top, right, bottom = map(float, match.groups())
        if max(left, top, right, bottom) <= _MOST:
            found = left, top, right, bottom
    return found


def reference_box(text: str) -> Box | None:
    """Return the box of a reference, `[left, top, right, bottom]` in JSON; None where it is something else."""
    try:
        left, top, right, bottom = map(float, json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
    return left, top, right, bottom


def _overlap(one: Box, other: Box) -> float:
    """Return intersection over union; 0 where a box has no area or swapped corners."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared)
