"""The pictures that a judge sees, scaled down: it pays by their size."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path

from backends.api import ImagePart
from runner.datasets.api import Image
from runner.datasets.encoded import decoded
from runner.datasets.images import read_images

Shown = tuple[ImagePart, str]  # the picture, and what names its content and size


def described(text: str) -> Image:
    """Return the picture that a row of answers.jsonl names: a path, perhaps with `#page=2`."""
    path, _, page = text.partition("#page=")
    return Image(Path(path), int(page) - 1 if page.isdecimal() else None)


def read(names: Sequence[str], longest: int) -> tuple[Shown, ...]:
    """Read a row's pictures; the longer side is at most `longest` pixels. Raise BadImage."""
    return _read(tuple(names), longest)


@functools.lru_cache(maxsize=8)
def _read(names: tuple[str, ...], longest: int) -> tuple[Shown, ...]:
    return tuple(
        (
            _smaller(one.data, one.media_type, longest)
            if max(one.width, one.height) > longest
            else ImagePart(one.data, one.media_type),
            f"{one.digest}@{longest}",
        )
        for one in read_images(map(described, names))
    )


def _smaller(data: bytes, media_type: str, longest: int) -> ImagePart:
    import PIL.Image

    picture = decoded(data, media_type)
    picture.thumbnail((longest, longest), PIL.Image.Resampling.LANCZOS)
    target = io.BytesIO()
    picture.save(target, "PNG")
    return ImagePart(target.getvalue(), "image/png")
