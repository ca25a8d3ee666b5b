"""Takes frames from a video at a fixed rate up to a limit, so that all engines and models see the same frames.

Engines sample videos by their own rules, and most models take no videos. Frames that are sent as pictures in order work
with any model that takes several pictures.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from runner.datasets.api import Frames
from runner.datasets.encoded import BadImage, EncodedImage

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
# FFmpeg detects a format by content: a file named .mp4 may be a list of other files (HLS, concat), possibly
# outside the dataset's folder and not covered by the digest. These formats contain their pictures themselves.
SELF_CONTAINED = "asf,avi,flv,matroska,mov,mpeg,mpegts,ogg"
ROUNDING_S = 0.001  # Matroska's times are whole milliseconds
QUALITY = 95  # JPEG quality; a change makes new digests


def can_be_read() -> bool:
    """Return whether the library that decodes videos is installed."""
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
    """Return the seconds at which frames are taken: at the given rate, or evenly spaced if that exceeds the limit."""
    count = max(1, int(duration_s * frames.per_second + 1e-6))
    if count <= frames.limit:
        return [number / frames.per_second for number in range(count)]
    return [duration_s * number / frames.limit for number in range(frames.limit)]


def _draw(path: Path, frames: Frames, source: str) -> Iterator[EncodedImage]:
    import av

    with av.open(str(path), options={"format_whitelist": SELF_CONTAINED}) as container:
        if not container.streams.video:
            raise BadImage(f"{path}: there is no picture in it, sound alone")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        duration_s = _duration_s(container, stream)
        due = times(duration_s, frames)
        # Evenly spaced frames have a lower rate.
        rate = min(frames.per_second, len(due) / duration_s) if duration_s else frames.per_second
        moving = (source, round(rate, 6)) if frames.moving else None
        for frame in _on_screen(container.decode(stream), due, 1 / float(stream.average_rate or 25)):
            yield replace(_encoded(frame, source), moving=moving)


def _on_screen(frames: Iterable[Any], due: list[float], usual_s: float) -> Iterator[Any]:
    """Yield the frames that are visible at the seconds in `due`, counted from the first frame.

    A frame is visible until the time of the next one. That may be long: a screen recording has frames only for changes.
    A frame is yielded once, even if several times fall on it. Frames without a time are `usual_s` seconds apart.
    """
    shown, begin, last = None, 0.0, 0.0
    for frame in frames:
        if not due:
            return
        time = frame.time if frame.time is not None else last + usual_s
        if shown is None:
            begin = time
        elif time - begin > due[0] + ROUNDING_S:  # until now the previous frame was visible
            yield shown
            while due and time - begin > due[0] + ROUNDING_S:
                due.pop(0)
        shown, last = frame, time
    if due and shown is not None:
        yield shown


def _duration_s(container: Any, stream: Any) -> float:
    """Return the duration of the pictures in seconds. FFmpeg gives a container's duration in microseconds."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration:
        # Matroska's duration is the time of its end, not its length (seen with PyAV 18.1).
        begin = (container.start_time or 0) if "matroska" in container.format.name else 0
        return float(container.duration - begin) / 1_000_000
    # A browser's recording has no duration, because it is written while it is recorded: take it from the packets.
    times = [(packet.pts, packet.duration or 0) for packet in container.demux(stream) if packet.pts is not None]
    container.seek(0)
    if not times:
        return 0.0
    return float((max(map(sum, times)) - min(pts for pts, _ in times)) * stream.time_base)


def _encoded(frame: Any, source: str) -> EncodedImage:
    picture = frame.to_image()
    if rotation := getattr(frame, "rotation", 0):  # phones store frames unrotated, with their rotation as metadata
        picture = picture.rotate(rotation, expand=True)
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=QUALITY)
    digest = hashlib.sha256(f"{source}#t={frame.time or 0.0:.3f}@jpeg{QUALITY}".encode()).hexdigest()
    return EncodedImage(target.getvalue(), "image/jpeg", digest, picture.width, picture.height)
