"""Frames of a video: so many a second, up to a limit, drawn here, so that every engine and model sees the same ones.

Engines sample videos by rules of their own, and most models take none at all; as pictures in order, any model that
takes several can be asked about a video.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from runner.datasets.api import Frames
from runner.datasets.encoded import BadImage, EncodedImage

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
QUALITY = 95  # of JPEG: a frame was compressed before; a change makes new digests


def can_be_read() -> bool:
    """Whether the library that decodes videos is installed."""
    return importlib.util.find_spec("av") is not None


@lru_cache(maxsize=4)
def read(path: Path, frames: Frames, modified: int) -> tuple[EncodedImage, ...]:  # noqa: ARG001 - part of the cache's key
    """Return the frames of a video in order. Raise BadImage, which names the file and says what is wrong."""
    source = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            source.update(block)
    try:
        drawn = tuple(_draw(path, frames, source.hexdigest()))
    except BadImage:
        raise
    except Exception as error:  # FFmpeg's errors have many classes
        raise BadImage(f"{path}: the video can't be decoded: {error}") from error
    if not drawn:
        raise BadImage(f"{path}: the video has no frames")
    return drawn


def times(duration_s: float, frames: Frames) -> list[float]:
    """Return the seconds at which frames are taken: at the rate, or evenly spread where that would be too many."""
    wanted = max(1, int(duration_s * frames.per_second + 1e-6))
    if wanted <= frames.limit:
        return [number / frames.per_second for number in range(wanted)]
    return [duration_s * number / frames.limit for number in range(frames.limit)]


def _draw(path: Path, frames: Frames, source: str) -> Iterator[EncodedImage]:
    import av

    with av.open(str(path)) as container:
        if not container.streams.video:
            raise BadImage(f"{path}: there is no picture in it, sound alone")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        duration_s = _duration_s(container, stream)
        due = times(duration_s, frames)
        # Evenly spread frames have a rate of their own.
        rate = min(frames.per_second, len(due) / duration_s) if duration_s else frames.per_second
        moving = (source, round(rate, 6)) if frames.moving else None
        half = 0.5 / float(stream.average_rate or 25)
        for frame in container.decode(stream):
            if not due:
                return
            # The first frame that is not before its time is taken, within half a frame for rounding. Several times may
            # fall on one frame of a slow video: it is taken once.
            shown_at = (frame.time or 0.0) + half
            if shown_at >= due[0]:
                while due and shown_at >= due[0]:
                    due.pop(0)
                yield replace(_encoded(frame, source), moving=moving)


def _duration_s(container: Any, stream: Any) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1_000_000  # FFmpeg counts a container's length in microseconds


def _encoded(frame: Any, source: str) -> EncodedImage:
    picture = frame.to_image()
    if turned := getattr(frame, "rotation", 0):  # phones store pictures lying, and how they were held beside them
        picture = picture.rotate(turned, expand=True)
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=QUALITY)
    digest = hashlib.sha256(f"{source}#t={frame.time or 0.0:.3f}@jpeg{QUALITY}".encode()).hexdigest()
    return EncodedImage(target.getvalue(), "image/jpeg", digest, picture.width, picture.height)
