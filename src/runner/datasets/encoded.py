"""A picture as it is sent, and what is said of one that can't be read."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.base.errors import RunnerError

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


class BadImage(RunnerError):
    """A picture that can't be read. It fails the samples that need it, not the job."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a user should know of a picture, though it is sent: `what` holds of many, `where` names this one."""

    what: str
    where: str


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A picture as it is sent, by the rule of backends/pictures.py: 8 bits, opaque, upright.

    `digest` names the source's bytes (and page) and what was done to them, `width` and `height` are its pixels.
    `moving` belongs to a frame that is to be shown with its neighbours as one video: the video's name and its rate.
    """

    data: bytes = field(repr=False)
    media_type: str
    digest: str
    width: int
    height: int
    moving: tuple[str, float] | None = None
    remarks: tuple[Remark, ...] = ()

    def picture(self, longest: int | None = None) -> PilImage:
        """Decode to RGB what is sent, as `decoded` does. Raise BadImage."""
        return decoded(self.data, self.media_type, longest)


def decoded(data: bytes, media_type: str, longest: int | None = None) -> PilImage:
    """Decode to RGB a picture that was made ready to be sent. Raise BadImage.

    Where `longest` pixels suffice for the longer side, a JPEG is decoded at a fraction of its size, which is quicker.
    """
    import PIL.Image

    try:
        picture = PIL.Image.open(io.BytesIO(data))
        if longest is not None:
            picture.draft("RGB", (longest, longest))
        return picture.convert("RGB")
    except Exception as error:  # decoders raise whatever they trip over
        raise BadImage(f"a {media_type} that can't be decoded: {error}") from error
