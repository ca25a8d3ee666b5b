"""What a model of the Qwen-VL kind should see of a picture: its size and tokens by the processor's own rule.

vLLM and SGLang do not say to what size they resized a picture. The rule is part of the checkpoint (patch size, limits
on the area), so the size can be computed, and the number of tokens that the engine really had confirms or refutes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.planning import checkpoints

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True)
class ResizeRule:
    """Edges become multiples of `unit` pixels, areas stay between the limits; a token stands for unit x unit pixels."""

    unit: int
    min_pixels: int
    max_pixels: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) in pixels after resizing.

        Source: `smart_resize` of Qwen2-VL's image processor; Python's rounding of halves to even is part of the rule.
        """
        fitted = [round(edge / self.unit) * self.unit for edge in (width, height)]
        area = fitted[0] * fitted[1]
        if area > self.max_pixels:
            shrink = math.sqrt(width * height / self.max_pixels)
            fitted = [max(self.unit, math.floor(edge / shrink / self.unit) * self.unit) for edge in (width, height)]
        elif area < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (width * height))
            fitted = [math.ceil(edge * grow / self.unit) * self.unit for edge in (width, height)]
        return fitted[0], fitted[1]

    def tokens(self, width: int, height: int) -> int:
        """Return how many tokens a picture of this size takes in the prompt."""
        fitted = self.size(width, height)
        return fitted[0] * fitted[1] // self.unit**2


def resize_rule(
    location: str, revision: str = "", min_pixels: int | None = None, max_pixels: int | None = None
) -> ResizeRule | None:
    """Return the rule of a checkpoint, with a job's own limits in place of its; None where it follows another."""
    for file in PROCESSOR_FILES:
        values = checkpoints.read_json(location, revision, file)
        values = values.get("image_processor", values)
        if values.get("patch_size") and values.get("merge_size"):
            break
    else:
        return None
    size: Mapping[str, Any] = values.get("size") or {}
    low = min_pixels or values.get("min_pixels") or size.get("shortest_edge")
    high = max_pixels or values.get("max_pixels") or size.get("longest_edge")
    if not low or not high:
        return None
    return ResizeRule(int(values["patch_size"]) * int(values["merge_size"]), int(low), int(high))


def picture_size(described: str) -> tuple[int, int] | None:
    """Return (width, height) of a picture as answers.jsonl names it; None where it is not there any more."""
    from runner.datasets import picture_names
    from runner.datasets.encoded import BadImage
    from runner.datasets.images import read_images

    try:
        pictures = read_images([picture_names.described(picture_names.without_mark(described))])  # both are of one size
    except BadImage:
        return None
    return (pictures[0].width, pictures[0].height) if len(pictures) == 1 else None
