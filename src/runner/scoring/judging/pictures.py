"""Scales down the pictures that a judge sees, because their size decides the cost."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence

from backends.api import ImagePart
from runner.datasets.encoded import decoded
from runner.datasets.images import read_images
from runner.datasets.picture_names import described, without_mark

Shown = tuple[ImagePart, str]  # (picture, digest of its content and size)


def read(names: Sequence[str], longest: int) -> tuple[Shown, ...]:
    """Read a row's pictures, scaled so that the longer side is at most `longest` pixels. Raise BadImage.

    A judge sees the clean page, also where the answer is about one that was made worse (dataset.degrade).
    """
    return _read(tuple(names), longest)


@functools.lru_cache(maxsize=8)
def _read(names: tuple[str, ...], longest: int) -> tuple[Shown, ...]:
    return tuple(
        (
            _smaller(image.data, image.media_type, longest)
            if max(image.width, image.height) > longest
            else ImagePart(image.data, image.media_type),
            f"{image.digest}@{longest}",
        )
        for image in read_images(described(without_mark(name)) for name in names)
    )


def _smaller(data: bytes, media_type: str, longest: int) -> ImagePart:
    import PIL.Image

    picture = decoded(data, media_type)
    picture.thumbnail((longest, longest), PIL.Image.Resampling.LANCZOS)
    target = io.BytesIO()
    picture.save(target, "PNG")
    return ImagePart(target.getvalue(), "image/png")
