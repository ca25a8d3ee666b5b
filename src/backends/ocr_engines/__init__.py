"""Programs that read the text of a picture: `tesseract` and `rapidocr`, each behind the same two methods.

They are read by `backends.ocr_server`, as engines of their own, and by whoever wants the text of a page beside its
picture (`runner.ocr`). Neither is imported before it is asked for. This runs in an engine's environment, so it imports
nothing of this project outside this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

ENGINES = ("tesseract", "rapidocr")


class OcrMissing(Exception):
    """The program, its language data or its Python package is not installed: `what`, and the `remedy`."""

    def __init__(self, what: str, remedy: str) -> None:
        """Keep both; the message has both."""
        super().__init__(f"{what}. Remedy: {remedy}")
        self.what = what
        self.remedy = remedy


class OcrFailed(Exception):
    """The program can't read this picture; the message is its own."""


class Reader(Protocol):
    """A program in one setting."""

    def read(self, picture: Image) -> str:
        """Return the text of an RGB picture, from top to bottom; empty where there is none. Raises OcrFailed."""
        ...

    def facts(self) -> Mapping[str, str]:
        """Return what decides its answers: versions, and digests of the files it was trained into."""
        ...
