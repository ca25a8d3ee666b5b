"""A picture as it is sent, and what is said of one that can't be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.errors import RunnerError


class BadImage(RunnerError):
    """A picture that can't be read. It fails the samples that need it, not the job."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A picture as it is sent. `digest` names the source's bytes (and page), `width` and `height` are its pixels.

    `moving` belongs to a frame that is to be shown with its neighbours as one video: the video's name and its rate.
    """

    data: bytes = field(repr=False)
    media_type: str
    digest: str
    width: int
    height: int
    moving: tuple[str, float] | None = None
