"""A picture as it is sent, remarks on it, and the error for a picture that can't be read."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.base.errors import RunnerError

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


class BadImage(RunnerError):
    """A picture can't be read. The samples that need it fail; the job continues."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something a user should know of a picture that is sent. `what` may apply to many pictures; `where` names one."""

    what: str
    where: str


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A picture as it is sent: 8 bits, opaque and upright, by the rule of backends/pictures.py.

    `digest` is a hash of the source's bytes (and page) and of the conversions; `width` and `height` are in pixels.
    `moving` is set for a frame that is sent with its neighbours as one video: the video's digest and frames per second.
    """

    data: bytes = field(repr=False)
    media_type: str
    digest: str
    width: int
    height: int
    moving: tuple[str, float] | None = None
    remarks: tuple[Remark, ...] = ()

    def picture(self, longest: int | None = None) -> PilImage:
        """Return the decoded picture in RGB, as `decoded` does. Raise BadImage."""
        return decoded(self.data, self.media_type, longest)


def decoded(data: bytes, media_type: str, longest: int | None = None) -> PilImage:
    """Decode the bytes of an EncodedImage to RGB. Raise BadImage.

    If `longest` pixels are enough for the longer side, a JPEG is decoded at a fraction of its size, which is faster.
    """
    import PIL.Image

    try:
        picture = PIL.Image.open(io.BytesIO(data))
        if longest is not None:
            picture.draft("RGB", (longest, longest))
        return picture.convert("RGB")
    except Exception as error:  # decoders raise many kinds of errors
        raise BadImage(f"a {media_type} that can't be decoded: {error}") from error
