"""Collects the documents' pictures for the page: deduplicated, scaled down, and within a budget.

The order of the names decides which pictures come first; the caller puts the most interesting samples first.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from runner.base import paths
from runner.config.report_settings import PicturesConfig
from runner.datasets.api import Image
from runner.datasets.encoded import BadImage, EncodedImage
from runner.datasets.images import read_images
from runner.datasets.picture_names import described

# A picture with few bytes that is hardly larger than the limit is embedded as it is: scaling would save nothing.
SMALL_BYTES = 60_000
HARDLY = 1.1  # times the pixels of the longer side
BYTES_PER_PIXEL = 0.25  # of a scaled page of dense text
QUALITY = 70  # of WebP: small print on a scan of 1000 pixels stays legible
WORKERS = 4  # Pillow decodes and encodes without the interpreter's lock


_ahead: _Ahead | None = None


@dataclass
class Pictures:
    """The pictures of the page: `uris` are data URIs, `places` maps an image's name to its index in `uris`.

    `wanted` counts the distinct names, `missing` those that could not be read. The others exceeded the budget.
    """

    uris: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    wanted: int = 0
    missing: int = 0


class _Ahead:
    """Pictures that are scaled in a thread before anyone asks for them, within a budget."""

    def __init__(self, names: Sequence[str], pixels: int, mib: float) -> None:
        self._names, self._pixels, self._room = names, pixels, mib * 2**20
        self._made: dict[tuple[object, ...], tuple[str, str]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="pictures ahead")
        self._thread.start()

    def _run(self) -> None:
        for name in self._names:
            if self._ended.is_set() or self._room <= 0:
                return
            image = find(name, ())
            key = _version(image, self._pixels)
            if key is not None and (made := _made(image, self._pixels)) is not None:
                self._made[key] = made
                self._room -= len(made[1])

    def end(self) -> None:
        """Stop after the picture that is at hand, which nobody waits for."""
        self._ended.set()

    def find(self, image: Image, pixels: int) -> tuple[str, str] | None:
        """Return what was made of a picture that has not changed since; None where there is nothing."""
        return self._made.get(_version(image, pixels) or ())


def scale_ahead(names: Sequence[str], pixels: int, mib: float) -> None:
    """Begin to scale pictures for a page; `gather` takes over those that are done by then."""
    global _ahead
    if _ahead is not None:
        _ahead.end()
    _ahead = _Ahead(names, pixels, mib)


def _version(image: Image, pixels: int) -> tuple[object, ...] | None:
    """Name a picture's file as it is now; None where there is none."""
    try:
        status = image.path.stat()
    except OSError:
        return None
    return image.path.absolute(), image.page, image.degrade, status.st_mtime_ns, status.st_size, pixels


def gather(names: Iterable[str], folders: Sequence[Path], settings: PicturesConfig) -> Pictures:
    """Read pictures by the names that answers.jsonl gives them; relative ones start at a job's working directory."""
    if _ahead is not None:
        _ahead.end()
    unique = list(dict.fromkeys(names))
    pictures = Pictures(wanted=len(unique))
    digests: dict[str, int] = {}
    room = settings.mib * 2**20
    with ThreadPoolExecutor(WORKERS) as pool:
        # In portions, because the budget may be used up early; several names may share one content.
        for portion in _portions(unique, 4 * WORKERS):
            if len(pictures.uris) >= settings.limit or room <= 0:
                break
            read = pool.map(lambda name: _read(name, folders, settings.pixels), portion)
            for name, encoded in zip(portion, read, strict=True):
                if encoded is None:
                    pictures.missing += 1
                    continue
                digest, uri = encoded
                if digest not in digests:
                    room -= len(uri)
                    if len(pictures.uris) >= settings.limit or room <= 0:
                        break
                    digests[digest] = len(pictures.uris)
                    pictures.uris.append(uri)
                pictures.places[name] = digests[digest]
    return pictures


def _portions(names: Sequence[str], size: int) -> Iterator[list[str]]:
    rest = iter(names)
    while portion := list(itertools.islice(rest, size)):
        yield portion


def _read(name: str, folders: Sequence[Path], pixels: int) -> tuple[str, str] | None:
    """Return a picture's digest and data address; None where it can't be had any more."""
    image = find(name, folders)
    return (_ahead.find(image, pixels) if _ahead is not None else None) or _made(image, pixels)


def _made(image: Image, pixels: int) -> tuple[str, str] | None:
    try:
        encoded = read_images([image])[0]
        data, media_type = _smaller(encoded, pixels)
    except (BadImage, OSError, ValueError, IndexError):
        return None
    return encoded.digest, f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def find(name: str, folders: Sequence[Path]) -> Image:
    """Return the picture that answers.jsonl names so; relative names start at one of the folders."""
    named = described(name)
    path = named.path
    places = (path, *(folder / path for folder in folders)) if not path.is_absolute() else (path,)
    there = next((place for place in places if place.is_file()), None)
    return dataclasses.replace(named, path=there or paths.resolve(str(path)))


def _smaller(encoded: EncodedImage, pixels: int) -> tuple[bytes, str]:
    """Return a picture's data and media type: unchanged if it is small, else scaled down as WebP."""
    few = max(SMALL_BYTES, BYTES_PER_PIXEL * encoded.width * encoded.height)
    if max(encoded.width, encoded.height) <= HARDLY * pixels and len(encoded.data) <= few:
        return encoded.data, encoded.media_type
    import PIL.Image

    picture = encoded.picture(pixels)
    picture.thumbnail((pixels, pixels), PIL.Image.Resampling.BILINEAR, reducing_gap=2.0)
    target = io.BytesIO()
    picture.save(target, "WEBP", quality=QUALITY, method=0)
    return target.getvalue(), "image/webp"
