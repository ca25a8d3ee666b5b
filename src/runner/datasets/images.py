"""Reads pictures when they are needed. A file's own bytes are sent if all engines decode them in the same way.

A JPEG, PNG or WebP that is plain by the rule of backends/pictures.py is sent unchanged, because re-encoding costs time,
upload and quality. Any other picture is converted to 8 bits, opaque and upright, and sent as PNG, or as JPEG if it was
one. Pages of a PDF are rendered at 150 dpi. Of a picture that is sent unchanged only the header is read here: if the
rest is cut off, the engine fails that sample.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import stat
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backends.pictures import PLAIN_MODES, frames, is_plain, shown
from runner.datasets import pdf, video
from runner.datasets.api import Image
from runner.datasets.encoded import BadImage, EncodedImage, Remark

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

PDF_SUFFIX = ".pdf"
PDF_BEGINNING = b"%PDF-"
SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pdf", ".png", ".ppm", ".tif", ".tiff", ".webp"},
)
# Phones write MPO: a JPEG with a second picture after the first.
PASSED_THROUGH = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
OPENED = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # Pillow's JPEG reader finds MPO
# A page of one colour compresses to less than this. Larger files are not decoded to find out whether they are flat.
FEW_BYTES, FEW_BYTES_PER_PIXEL = 4096, 1 / 32
FLAT = 8  # levels of 255 between darkest and brightest pixel that JPEG noise can cause
FAINT = 32  # as FLAT, but for a page that a person would hardly read
JPEG_QUALITY = 95  # without subsampling of colours; a change makes new digests
RULE = b"#8 bits, opaque, upright: 1"  # part of a converted picture's digest; a change of the rule makes new digests
PDF_DPI = 150  # 1240 x 1754 for A4: small print stays legible; a change makes new digests
MAX_PIXELS = 178_956_970  # Pillow's limit against decompression bombs; an A0 poster at 300 dpi has 140 million
MAX_BYTES = 200 * 2**20
MAX_PAGES = 100
MAX_VIDEO_BYTES = 4 * 2**30


def read_images(images: Iterable[Image]) -> tuple[EncodedImage, ...]:
    """Read a sample's pictures in order.

    A PDF without a page number is replaced by all its pages, and a video by its frames.
    """
    encoded: list[EncodedImage] = []
    for image in images:
        if image.frames is not None:
            encoded += video.read(image.path, image.frames, _check_file(image.path, MAX_VIDEO_BYTES))
        else:
            encoded += map(read_image, pages(image))
    return tuple(encoded)


def _part(whole: EncodedImage, box: tuple[int, int, int, int], path: Path) -> EncodedImage:
    """Return a part of an encoded picture as PNG. `box` counts in its pixels: an encoded picture is upright."""
    picture = whole.picture()
    left, top, right, bottom = box
    if left >= picture.width or top >= picture.height:
        size = f"{picture.width} x {picture.height}"
        raise BadImage(f"{path}: {list(box)} (dataset.region) lies outside of the picture, {size} pixels")
    part = picture.crop((left, top, min(right, picture.width), min(bottom, picture.height)))
    digest = hashlib.sha256(f"{whole.digest}#box={box}".encode()).hexdigest()
    return EncodedImage(png(part), "image/png", digest, part.width, part.height, remarks=whole.remarks)


def read_image(image: Image) -> EncodedImage:
    """Read one picture, or one page of a PDF. Raise BadImage, which names the file and says what is wrong.

    For a PDF of several pages `image.page` must be set; `pages` and `read_images` handle all pages.
    """
    whole, path = _whole(image), image.path
    if image.degrade is None:
        return whole if image.box is None else _part(whole, image.box, path)
    from runner.datasets.degrading import geometry  # numpy takes a while
    from runner.datasets.degrading import pages as degrading

    shown = degrading.degraded(whole, image.degrade)
    if image.box is None:
        return shown
    moved = geometry.moved(image.box, degrading.warp(whole, image.degrade), whole.width, whole.height)
    return _part(shown, moved, path)


def warp(image: Image) -> tuple[float, ...] | None:
    """Return where the places of a page are in the degraded picture of it (degrading/geometry.py).

    None if the picture is shown as it is. Of a PDF without a page number the first page counts. Raise BadImage.
    """
    if image.degrade is None:
        return None
    from runner.datasets.degrading import pages as degrading

    return degrading.warp(_whole(pages(image)[0]), image.degrade)


def _whole(image: Image) -> EncodedImage:
    """Read the clean picture, or page."""
    path = image.path
    modified = _check_file(path)
    try:
        with path.open("rb", buffering=0) as file:
            is_pdf = file.read(len(PDF_BEGINNING)) == PDF_BEGINNING
            file.seek(0)
            data = b"" if is_pdf else file.readall()
        # Pages and converted pictures are cached, because the next question is often about the same document.
        return _pdf_page(path, image.page, modified) if is_pdf else _picture(path, data, modified)
    except OSError as error:
        raise BadImage(f"{path}: can't be read: {error.strerror or error}") from error


def _check_file(path: Path, largest: int = MAX_BYTES) -> int:
    """Return the time in ns at which a file was last modified. Raise BadImage for its size, or if it is no file."""
    try:
        status = path.stat()
    except OSError as error:
        raise BadImage(f"{path}: can't be read: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise BadImage(f"{path}: is not a file")
    if status.st_size == 0:
        raise BadImage(f"{path}: the file is empty")
    if status.st_size > largest:
        raise BadImage(f"{path}: {status.st_size / 2**20:.0f} MiB; up to {largest / 2**20:.0f} MiB are read")
    return status.st_mtime_ns


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadImage(f"{path}: {width} x {height} pixels; up to {MAX_PIXELS:,} pixels are read")
    if width < 1 or height < 1:
        raise BadImage(f"{path}: {width} x {height} pixels: there is nothing to see")


# ------------------------------------------------------------------------------------------------- pictures


def _picture(path: Path, data: bytes, modified: int) -> EncodedImage:
    picture = _open(path, data)
    _check_pixels(path, picture.width, picture.height)
    try:
        plain = is_plain(picture, data)
    except Exception as error:  # as in _open
        raise BadImage(f"{path}: damaged picture: {error}") from error
    if not plain:
        return _converted(path, modified)
    width, height = picture.size
    flat = _flat(path.name, picture) if len(data) < FEW_BYTES + FEW_BYTES_PER_PIXEL * width * height else ()
    media_type = PASSED_THROUGH[picture.format or ""]
    return EncodedImage(data, media_type, hashlib.sha256(data).hexdigest(), width, height, remarks=flat)


def _open(path: Path, data: bytes) -> PilImage:
    """Read a picture's header. The format is detected by the content, not by the file's name."""
    import PIL.Image

    try:
        return PIL.Image.open(io.BytesIO(data), formats=OPENED)
    except PIL.Image.DecompressionBombError as error:
        raise BadImage(f"{path}: too many pixels; up to {MAX_PIXELS:,} are read") from error
    except PIL.UnidentifiedImageError as error:
        raise BadImage(
            f"{path}: not a picture that can be read: damaged, or none of {', '.join(OPENED)}, PDF"
        ) from error
    except Exception as error:  # decoders raise many kinds of errors: SyntaxError, struct.error, EOFError ...
        raise BadImage(f"{path}: damaged picture: {error}") from error


@lru_cache(maxsize=16)
def _converted(path: Path, modified: int) -> EncodedImage:  # noqa: ARG001 - part of the cache's key
    """Convert a picture to 8 bits, opaque and upright."""
    data = path.read_bytes()
    picture = _open(path, data)
    if picture.format == "TIFF" and getattr(picture, "n_frames", 1) > 1:
        raise BadImage(f"{path}: a TIFF of several pages; save it as a PDF, whose pages are all read")
    try:
        count, media_type = frames(picture), PASSED_THROUGH.get(picture.format or "")
        # A BMP that becomes a PNG of the same pixels keeps its digest, under which earlier answers are stored.
        same = media_type is None and picture.mode in PLAIN_MODES and not picture.has_transparency_data and count == 1
        converted = shown(picture)
    except Exception as error:  # as in _open
        raise BadImage(f"{path}: damaged picture: {error}") from error
    digest = hashlib.sha256(data)
    if not same:
        digest.update(RULE)
    remarks = _flat(path.name, converted)
    if count > 1:
        remarks += (Remark("is animated; only its first frame is shown", path.name),)
    as_jpeg = media_type == "image/jpeg"
    encoded = _jpeg(converted) if as_jpeg else png(converted)
    media_type = "image/jpeg" if as_jpeg else "image/png"
    return EncodedImage(encoded, media_type, digest.hexdigest(), converted.width, converted.height, remarks=remarks)


def _flat(name: str, picture: PilImage) -> tuple[Remark, ...]:
    """Return a remark if a picture has one colour or hardly more. If it can't be decoded, the engine will fail it."""
    try:
        picture.draft("RGB", (picture.width // 8, picture.height // 8))  # a JPEG is decoded at a fraction of its size
        extrema = picture.convert("RGB").getextrema()
    except Exception:  # noqa: BLE001 - decoders raise many kinds of errors
        return ()
    if all(isinstance(band, tuple) and band[1] - band[0] < FLAT for band in extrema):
        return (Remark("is one flat colour: nothing can be read on it", name),)
    if all(isinstance(band, tuple) and band[1] - band[0] < FAINT for band in extrema):
        # As 12 bits in a file of 16 are, which every viewer shows black.
        return (Remark("has hardly any contrast: its colours span less than an eighth of what is shown", name),)
    return ()


def as_png(image: EncodedImage) -> EncodedImage:
    """Return the same pixels as PNG, under the same digest. Raise BadImage."""
    return dataclasses.replace(image, data=png(image.picture()), media_type="image/png")


def png(picture: PilImage) -> bytes:
    """Encode a picture as PNG, which is lossless."""
    target = io.BytesIO()
    picture.save(target, "PNG", compress_level=1)  # takes a third of the time of the default level
    return target.getvalue()


def _jpeg(picture: PilImage) -> bytes:
    """Encode a picture that was a JPEG. As PNG, a photograph would be five times as large: too large for endpoints."""
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()


# ------------------------------------------------------------------------------------------------- PDF


def pages(image: Image) -> tuple[Image, ...]:
    """Return the picture itself; for a PDF without a page number, all its pages."""
    path = image.path
    if image.page is not None or path.suffix.lower() != PDF_SUFFIX:
        return (image,)
    _check_file(path)
    count = pdf.count(path)
    if not 1 <= count <= MAX_PAGES:
        raise BadImage(f"{path}: {count} pages; from 1 to {MAX_PAGES} are read. Name the page: {path.name}#page=1")
    if image.box is not None and count > 1:
        raise BadImage(
            f"{path}: of which of its {count} pages is {list(image.box)} (dataset.region) a part? Name it: #page=1"
        )
    return tuple(dataclasses.replace(image, page=page) for page in range(count))


@lru_cache(maxsize=16)
def _pdf_page(path: Path, page: int | None, modified: int) -> EncodedImage:  # noqa: ARG001 - part of the cache's key
    """Render one page."""
    source = hashlib.sha256(path.read_bytes())
    source.update(f"#page={page or 0}@{PDF_DPI}dpi".encode())
    drawn = pdf.draw(path, page, PDF_DPI, functools.partial(_check_pixels, path))
    picture = drawn.picture
    if drawn.varies:
        source.update(picture.tobytes())
    name = f"{path.name}#page={(page or 0) + 1}"
    remarks = (*(Remark(what, name) for what in drawn.remarks), *_flat(name, picture))
    return EncodedImage(png(picture), "image/png", source.hexdigest(), picture.width, picture.height, remarks=remarks)
