"""Cuts out the part of a page that a column of the dataset names: `answer_bbox` = `[780, 110, 1060, 170]`.

Classic OCR reads the fields of a form at their known places. If the column is the place of the answer itself, it tells
the model where to look, which a model that sees the whole page has to find out.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from runner.datasets.api import Image


def cut(images: tuple[Image, ...], meta: Mapping[str, Any], column: str, margin: int) -> tuple[Image, ...]:
    """Return a sample's picture reduced to the part that `column` names, with `margin` pixels around it.

    Raise ValueError if there is no such column or value, or if the sample has several pictures.
    """
    if column not in meta:
        raise ValueError(f"there is no {column} (dataset.region); further columns: {', '.join(meta) or 'none'}")
    left, top, right, bottom = parse(meta[column], column)
    if len(images) != 1:
        raise ValueError(f"{len(images)} pictures: of which one is {column} a part?")
    if images[0].frames is not None:
        raise ValueError(f"{column} can't be cut out of a video")
    box = (max(0, left - margin), max(0, top - margin), right + margin, bottom + margin)
    return (dataclasses.replace(images[0], box=box),)


def parse(value: Any, column: str) -> tuple[int, int, int, int]:
    """Read `[left, top, right, bottom]`, as a list or as text; fractions are rounded outwards."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = [part for part in re.split(r"[\s,;]+", value.strip(" []()")) if part]
    try:
        numbers = [float(number) for number in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{column} is {value!r}, and no [left, top, right, bottom] in pixels")
    left, top, right, bottom = numbers
    if not (0 <= left < right and 0 <= top < bottom):
        raise ValueError(f"{column} is {value!r}: left below right, top below bottom, from 0 on")
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
