"""Reads the text of a page by OCR, for models that take only text, or to send text and picture together.

The text is cached in the folder `ocr` of the store. The cache key is the picture's content, the program's version, its
languages and the hashes of their files, so a page is read once for all questions, prompts and models. The text is part
of the prompt, and so of an answer's cache key.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from backends.ocr_engines import OcrMissing
from backends.ocr_engines.tesseract import Tesseract, check, digests, installed, version
from runner.base import paths
from runner.base.errors import Problem, Refused
from runner.datasets.api import Image
from runner.datasets.encoded import BadImage, EncodedImage
from runner.datasets.images import read_images
from runner.prompts import PromptConfig

ENGINES = ("tesseract",)


@dataclass(frozen=True)
class Page:
    """The text of a page, and the seconds that reading it took (also when the text comes from the cache)."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Ocr:
    """Reads pages with an OCR program. `name` gives program, version and languages: "tesseract 5.3.0 rus+eng"."""

    name: str
    languages: str
    folder: Path
    _read: dict[tuple[Image, ...], tuple[Page, ...]] = field(default_factory=dict, repr=False)

    def text(self, images: tuple[Image, ...]) -> str:
        """Return the text of a sample's pages, separated by empty lines. Raise BadImage if a page can't be read."""
        return "\n\n".join(page.text for page in self._pages(images))

    def mean_s(self) -> float | None:
        """Return the mean seconds per page over the pages that this job used; None if it used none."""
        seconds = [page.seconds for pages in self._read.values() for page in pages]
        return sum(seconds) / len(seconds) if seconds else None

    def _pages(self, images: tuple[Image, ...]) -> tuple[Page, ...]:
        if images not in self._read:
            self._read[images] = tuple(self._page(image) for image in read_images(images))
        return self._read[images]

    def _page(self, image: EncodedImage) -> Page:
        cached = self.folder / f"{image.digest}.json"
        try:
            return Page(**json.loads(cached.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            pass  # the page was not read yet, or its file is damaged: read it
        page = self._recognise(image)
        cached.parent.mkdir(parents=True, exist_ok=True)
        unfinished = cached.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"text": page.text, "seconds": page.seconds}, ensure_ascii=False), "utf-8")
        unfinished.replace(cached)  # atomic, because two runners may read the same page
        return page

    def _recognise(self, image: EncodedImage) -> Page:
        try:
            started = time.perf_counter()
            text = Tesseract(self.languages).read(image.picture())
            return Page(text, round(time.perf_counter() - started, 3))
        except Exception as error:  # Pillow and tesseract raise many kinds of errors; each concerns only this page
            raise BadImage(f"OCR can't read the page: {' '.join(str(error).split())[:300]}") from error


def find(config: PromptConfig) -> Ocr | None:
    """Return the reader of pages that a prompt needs; None if it needs none. Raise Refused if OCR can't run here."""
    if config.ocr is None:
        return None
    if config.ocr not in ENGINES:
        raise Refused(Problem(f"{config.ocr!r} is not valid", "prompt.ocr", f"one of: {', '.join(ENGINES)}, or null"))
    program, _ = tesseract()
    try:
        check(config.ocr_languages)
    except OcrMissing as error:
        raise Refused(Problem(error.what, "prompt.ocr_languages", error.remedy)) from error
    name = f"tesseract {program} {config.ocr_languages}"
    files = json.dumps(digests(config.ocr_languages), sort_keys=True)
    trained = hashlib.sha256(files.encode()).hexdigest()[:8]  # tessdata_best reads otherwise than tessdata_fast
    return Ocr(name, config.ocr_languages, paths.store_dir() / "ocr" / f"{name.replace(' ', '-')}-{trained}")


def tesseract() -> tuple[str, tuple[str, ...]]:
    """Return tesseract's version and its languages. Raise Refused if it is not installed."""
    try:
        return version(), installed()
    except OcrMissing as error:
        raise Refused(Problem(error.what, "prompt.ocr", error.remedy)) from error
