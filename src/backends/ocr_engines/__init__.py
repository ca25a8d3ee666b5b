"""Programs that read the text of a picture: `tesseract` and `rapidocr`, each behind the same methods.

They are read by `backends.ocr_server`, as engines of their own, and by whoever wants the text of a page beside its
picture (`runner.ocr`). Neither is imported before it is asked for. This runs in an engine's environment, so it imports
nothing of this project outside this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

ENGINES = ("tesseract", "rapidocr")
# What a program can put boxes around; the first is a text without boxes. rapidocr's lines are what its detector found.
BOXES = {"tesseract": ("none", "lines", "words"), "rapidocr": ("none", "lines")}


class OcrMissing(Exception):
    """The program, its language data or its Python package is not installed: `what`, and the `remedy`."""

    def __init__(self, what: str, remedy: str) -> None:
        """Keep both; the message has both."""
        super().__init__(f"{what}. Remedy: {remedy}")
        self.what = what
        self.remedy = remedy


class OcrFailed(Exception):
    """The program can't read this picture; the message is its own."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A text and its place: (left, top, right, bottom) in whole pixels of the picture, with an area and within it."""

    text: str
    box: tuple[int, int, int, int]


def within(box: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    """Return the whole pixels that a box touches, at least one, in a picture of this size."""
    left, top = min(max(int(box[0]), 0), width - 1), min(max(int(box[1]), 0), height - 1)
    right, bottom = min(max(-int(-box[2] // 1), left + 1), width), min(max(-int(-box[3] // 1), top + 1), height)
    return left, top, right, bottom


class Reader(Protocol):
    """A program in one setting."""

    def read(self, picture: Image) -> str:
        """Return the text of an RGB picture, from top to bottom; empty where there is none. Raises OcrFailed."""
        ...

    def places(self, picture: Image, unit: str) -> Sequence[Placed]:
        """Return the same as `lines` or `words` (BOXES) with their places, in reading order. Raises OcrFailed."""
        ...

    def facts(self) -> Mapping[str, str]:
        """Return what decides its answers: versions, and digests of the files it was trained into."""
        ...
