"""rapidocr (PyPI): PaddleOCR's PP-OCR models on onnxruntime, whose weights come with the package.

Version 3.10.0 carries PP-OCRv6 small: an alphabet of 18,708 symbols, Latin, Chinese and Japanese, **without Cyrillic**.
Russian letters are left out of its answers without a word (run and seen: "Фамилия Федорко 12.03.1987" is read as
"12.03.1987" with a score of 0.98).
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.ocr_engines import OcrFailed, OcrMissing, Placed, within

if TYPE_CHECKING:
    from PIL.Image import Image

INSTALL = "env=rapidocr (conf/env/rapidocr.yaml), or pip install rapidocr onnxruntime"
NO_CYRILLIC = "the alphabet of rapidocr's own weights has no Cyrillic"
PACKAGES = ("rapidocr", "onnxruntime", "opencv-python-headless", "opencv-python")


class Rapid:
    """Reads with the models that the package brings, its own settings unchanged."""

    def __init__(self, threads: int | None = None) -> None:
        """Load the models, a second or two. `threads` None: onnxruntime's own choice. Raises OcrMissing."""
        folder()
        from rapidocr import RapidOCR

        given: dict[str, Any] = {"Global.log_level": "error"}  # it warns of every page without text
        if threads is not None:
            given["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
        self._engine = RapidOCR(params=given)

    def read(self, picture: Image) -> str:
        """Return the texts that were found, from top to bottom, each in a line of its own. Raises OcrFailed."""
        return "\n".join(getattr(self._found(picture), "txts", None) or ())

    def places(self, picture: Image, unit: str) -> Sequence[Placed]:
        """Return the texts that were found with the upright boxes around their four corners. Raises OcrFailed."""
        if unit != "lines":
            raise ValueError(f"rapidocr's boxes are lines, and no {unit}")
        found = self._found(picture)
        texts, corners = getattr(found, "txts", None) or (), getattr(found, "boxes", None)
        placed = []
        for text, points in zip(texts, () if corners is None else corners, strict=True):
            if text.strip():
                box = tuple(float(edge) for edge in (*points.min(axis=0), *points.max(axis=0)))
                placed.append(Placed(text.strip(), within(box, picture.width, picture.height)))  # type: ignore[arg-type]
        return placed

    def _found(self, picture: Image) -> Any:
        import numpy

        pixels = numpy.asarray(picture)[:, :, ::-1]  # blue first, as OpenCV has it
        try:
            return self._engine(numpy.ascontiguousarray(pixels))
        except Exception as error:  # OpenCV and onnxruntime raise errors of their own kinds, about this picture
            raise OcrFailed(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from error

    def facts(self) -> Mapping[str, str]:
        """Return the versions and a digest of each model's file."""
        return facts()


def folder() -> Path:
    """Return where the package lies, without importing it. Raises OcrMissing."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None or importlib.util.find_spec("onnxruntime") is None:
        raise OcrMissing("the packages rapidocr and onnxruntime are not installed here", INSTALL)
    return Path(spec.origin).parent


def facts() -> dict[str, str]:
    """Return the versions of the packages and a digest of each model's file. Raises OcrMissing."""
    models = sorted((folder() / "models").glob("*.onnx"))
    known = {}
    for package in PACKAGES:
        try:
            known[f"version.{package}"] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    for model in models:
        with model.open("rb") as file:
            known[f"data.{model.stem}"] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return known
