"""A picture as it is sent, and what is said of one that can't be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.errors import RunnerError


class BadImage(RunnerError):
    """A picture that can't be read. It fails the samples that need it, not the job."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A picture as it is sent. `digest` names the source's bytes (and page), `width` and `height` are its pixels."""

    data: bytes = field(repr=False)
    media_type: str
    digest: str
    width: int
    height: int
