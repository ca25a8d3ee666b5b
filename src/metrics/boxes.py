"""Boxes in answers and references: how they are written, and in which frame they count.

'[{"bbox_2d": [10, 20, 110, 70], "label": "итог"}]' in pixels of a picture of 200 x 100  ->  (0.05, 0.2, 0.55, 0.7)

Inside this program a box is (left, top, right, bottom) as shares of the picture's width and height, 0 to 1.
"""

from __future__ import annotations

import bisect
import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path

Box = tuple[float, float, float, float]
Size = tuple[int, int]

# What a number of a box counts: pixels of the picture; pixels of the picture as the engine resized it; thousandths of
# its width and height; shares of them.
FRAMES = ("pixels", "resized", "0-1000", "0-1")
ORDERS = ("xyxy", "yxyx")

_NUMBER = r"\s*([-+]?\d{1,7}(?:\.\d{1,20})?)\s*"
_WRITTEN = re.compile(
    "|".join(
        (
            rf"[\[(]{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}[\])]",  # [10, 20, 110, 70]: JSON, whatever its keys
            rf"\({_NUMBER},{_NUMBER}\)\s{{0,5}},?\s{{0,5}}\({_NUMBER},{_NUMBER}\)",  # (10,20),(110,70): Qwen's <box>
            rf"<box>{_NUMBER}[\s,]{_NUMBER}[\s,]{_NUMBER}[\s,]{_NUMBER}</box>",  # <box>10 20 110 70</box>: MiniCPM
            r"<loc_?(\d{1,4})><loc_?(\d{1,4})><loc_?(\d{1,4})><loc_?(\d{1,4})>",  # Florence, DocTags
        )
    )
)
_ALONE = re.compile(rf"^\s*{_NUMBER}[\s,;]{_NUMBER}[\s,;]{_NUMBER}[\s,;]{_NUMBER}\s*$")  # 10, 20, 110, 70


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def written(text: str) -> list[Box]:
    """Return the boxes of a text as they are written, in its order; the numbers are of any frame and order.

    In JSON that has boxes, four numbers within a text are a text: a page may print "(1, 2, 3, 4)".
    """
    read = [tuple(float(number) for number in match.groups() if number is not None) for match in _found(text)]
    if not read and (alone := _ALONE.match(text[:500])):
        read = [tuple(map(float, alone.groups()))]
    return read  # type: ignore[return-value]


def _found(text: str) -> list[re.Match[str]]:
    """Return where boxes stand in a text, in its order."""
    found = list(_WRITTEN.finditer(text))
    if len(found) < 2 or not text.lstrip().startswith(("[", "{")) or not _is_json(text):
        return found
    texts = [match.span() for match in _STRING.finditer(text)]
    starts = [start for start, _ in texts]

    def within_text(match: re.Match[str]) -> bool:
        number = bisect.bisect_right(starts, match.start()) - 1
        return number >= 0 and match.start() < texts[number][1]

    return [match for match in found if not within_text(match)] or found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def placed(box: Box, frame: str, order: str, size: Size | None) -> Box:
    """Return a box in shares of the picture; `size` (width, height) is that of the frame's pixels, if it has any."""
    left, top, right, bottom = box if order == "xyxy" else (box[1], box[0], box[3], box[2])
    width, height = size or {"0-1000": (1000, 1000), "0-1": (1, 1)}[frame]
    return left / width, top / height, right / width, bottom / height


def moved(box: Box, warp: Sequence[float]) -> Box:
    """Return the upright rectangle around a box after a warp: the rows of a 3 x 3 matrix, which takes (x, y, 1) to it.

    Of a page that was tilted a box becomes a quadrangle; what is compared is what is around it.
    """
    left, top, right, bottom = box
    places = []
    for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)):
        across, down, depth = (warp[row] * x + warp[row + 1] * y + warp[row + 2] for row in (0, 3, 6))
        places.append((across / depth, down / depth))
    xs, ys = zip(*places, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def wrong(box: Box) -> str:
    """Say what is wrong with a box in shares of the picture; empty where nothing is. 1 % over an edge is on it."""
    left, top, right, bottom = box
    if left > right or top > bottom:
        return "its corners are swapped: left, top, right, bottom are wanted"
    if left == right or top == bottom:
        return "it has no area"
    if left >= 1 or top >= 1 or right <= 0 or bottom <= 0:
        return "it is outside the page"
    if min(left, top) < -0.01 or max(right, bottom) > 1.01:
        return "it goes beyond the page"
    return ""


def iou(first: Box, second: Box) -> float:
    """Return intersection over union of two boxes, 0 to 1."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (area(first) + area(second) - both)


def area(box: Box) -> float:
    """Return the share of the picture that a box covers."""
    return (box[2] - box[0]) * (box[3] - box[1])


_DEGRADED = re.compile(r"#degrade=[a-z]+:[0-9.e-]+:-?[0-9]+$")


@functools.lru_cache(maxsize=10_000)
def picture_size(path: str) -> Size | None:
    """Return (width, height) in pixels of a picture as it is shown; None for a PDF, or where it can't be read.

    One that was made worse (`1.png#degrade=phone:0.5:0`) is as large as its file.
    """
    from PIL import Image

    try:
        with Image.open(Path(_DEGRADED.sub("", path))) as picture:
            width, height = picture.size
            turned = picture.getexif().get(0x0112, 1) >= 5  # EXIF's orientation: a quarter turn
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return (height, width) if turned else (width, height)


def pairs(wanted: Sequence[Box], predicted: Sequence[Box]) -> list[tuple[int, int, float]]:
    """Return (number of the wanted box, number of its partner, their IoU): the pairing with the highest sum of IoU."""
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    overlaps = np.array([[iou(reference, prediction) for prediction in predicted] for reference in wanted]).reshape(
        len(wanted), len(predicted)
    )
    chosen = zip(*linear_sum_assignment(-overlaps), strict=True)
    return [(int(row), int(column), float(overlaps[row, column])) for row, column in chosen]


def paired(wanted: Sequence[Box], predicted: Sequence[Box]) -> list[float]:
    """Return for each wanted box the IoU with its partner, 0 without one."""
    values = [0.0] * len(wanted)
    for row, _, overlap in pairs(wanted, predicted):
        values[row] = overlap
    return values


_NEAR = 300  # characters beside a box in which its label stands
_LABEL = re.compile(r'"(?:label|text|text_content|name|category|class|type)"\s*:\s*"((?:[^"\\]|\\.){1,200})"')
_TAGGED = re.compile(
    r"<\|?(?:ref|object_ref_start|p)\|?>([^<]{1,200})<(?:/ref|/p|\|/ref\||\|object_ref_end\|)>\s*(?:<[^<>]{1,30}>\s*){0,2}\[{0,2}$"
)


def labels(text: str) -> list[str]:
    """Return the label of each of the boxes of `written`: a key of its JSON object, a tag before it, or nothing."""
    found = _found(text)
    ends = [0, *(match.end() for match in found), len(text)]
    starts = [*(match.start() for match in found), len(text)]
    named = []
    for number, match in enumerate(found):
        # Between the boxes before and behind it, and within the braces around it.
        before = text[max(ends[number], match.start() - _NEAR) : match.start()]
        after = text[match.end() : min(starts[number + 1], match.end() + _NEAR)]
        told = None
        if before.rfind("{") > before.rfind("}"):
            told = _LABEL.search(before[before.rfind("{") :]) or _LABEL.search(after.partition("}")[0])
        tagged = _TAGGED.search(before)
        named.append(_unescaped(told[1]) if told else tagged[1].strip() if tagged else "")
    return named or [""] * len(written(text))


def _unescaped(source: str) -> str:
    try:
        return str(json.loads(f'"{source}"', strict=False))
    except ValueError:
        return source
