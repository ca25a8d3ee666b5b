"""The text of a page as an OCR program reads it, for models that take text alone, or beside the picture.

What was read is kept by the picture's content, the program's version, its languages and their files, in the folder
`ocr` of the store: a page is read once, however many questions, prompts and models it serves. The text stands in the
message that is asked, so it is part of an answer's key.
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
    """What was read, and the seconds it took when it was read."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Ocr:
    """Reads pages with one program in one setting. `name` says which: "tesseract 5.3.0 rus+eng"."""

    name: str
    languages: str
    folder: Path
    _read: dict[tuple[Image, ...], tuple[Page, ...]] = field(default_factory=dict, repr=False)

    def text(self, images: tuple[Image, ...]) -> str:
        """Return the text of a sample's pages, an empty line between two. Raises BadImage."""
        return "\n\n".join(page.text for page in self._pages(images))

    def mean_s(self) -> float | None:
        """Return the mean seconds per page of what this job used, None where it used none."""
        seconds = [page.seconds for pages in self._read.values() for page in pages]
        return sum(seconds) / len(seconds) if seconds else None

    def _pages(self, images: tuple[Image, ...]) -> tuple[Page, ...]:
        if images not in self._read:
            self._read[images] = tuple(self._page(image) for image in read_images(images))
        return self._read[images]

    def _page(self, image: EncodedImage) -> Page:
        kept = self.folder / f"{image.digest}.json"
        try:
            return Page(**json.loads(kept.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            pass  # not read yet, or damaged: it is read again
        page = self._recognise(image)
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps({"text": page.text, "seconds": page.seconds}, ensure_ascii=False), "utf-8")
        unfinished.replace(kept)  # two runners may read the same page
        return page

    def _recognise(self, image: EncodedImage) -> Page:
        try:
            started = time.perf_counter()
            text = Tesseract(self.languages).read(image.picture())
            return Page(text, round(time.perf_counter() - started, 3))
        except Exception as error:  # Pillow and tesseract fail in many ways, and each concerns this page alone
            raise BadImage(f"OCR can't read the page: {' '.join(str(error).split())[:300]}") from error


def find(config: PromptConfig) -> Ocr | None:
    """Return what reads the pages for a prompt, None where it wants none. Raise Refused where it can't be done here."""
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
    """Return tesseract's version and its languages. Raise Refused where it is not installed."""
    try:
        return version(), installed()
    except OcrMissing as error:
        raise Refused(Problem(error.what, "prompt.ocr", error.remedy)) from error
