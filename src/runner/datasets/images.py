"""Reads pictures when they are asked for: the file's own bytes where every engine makes the same of them.

A JPEG, PNG or WebP that is plain by the rule of backends/pictures.py passes through untouched (re-encoding costs time,
upload and quality). Anything else is brought to 8 bits, opaque and upright, and sent as PNG, or as JPEG where it came
as JPEG; each page of a PDF is drawn at 150 dpi. Only the header of a picture that passes through is looked at: a body
that is cut short is found by the engine, and fails that sample there.
"""

from __future__ import annotations

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
# MPO is what phones write: a JPEG with a second picture behind it.
PASSED_THROUGH = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
OPENED = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")  # Pillow's JPEG reader finds MPO
# A flat page compresses to less than this; what is larger is not decoded to see whether it is flat.
FEW_BYTES, FEW_BYTES_PER_PIXEL = 4096, 1 / 32
FLAT = 8  # levels of 255 between the darkest and the brightest: JPEG's noise
JPEG_QUALITY = 95  # without subsampling of colours; a change makes new digests
RULE = b"#8 bits, opaque, upright: 1"  # part of the digest of what is converted; a change of the rule makes new digests
PDF_DPI = 150  # 1240 x 1754 for A4: small print stays legible; a change makes new digests
MAX_PIXELS = 178_956_970  # Pillow's limit against decompression bombs; an A0 poster at 300 dpi has 140 million
MAX_BYTES = 200 * 2**20
MAX_PAGES = 100
MAX_VIDEO_BYTES = 4 * 2**30


def read_images(images: Iterable[Image]) -> tuple[EncodedImage, ...]:
    """Read a sample's pictures in order.

    A PDF without a page stands for all its pages, counted here, and a video for its frames.
    """
    found: list[EncodedImage] = []
    for image in images:
        if image.frames is not None:
            found += video.read(image.path, image.frames, _check_file(image.path, MAX_VIDEO_BYTES))
        else:
            found += map(read_image, pages(image))
    return tuple(found)


def _part(whole: EncodedImage, box: tuple[int, int, int, int], path: Path) -> EncodedImage:
    """Cut a part out of a picture that is ready to be sent, and so upright, as PNG."""
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

    A PDF of several pages needs `pages` or `read_images`: here one of them must be named.
    """
    path = image.path
    modified = _check_file(path)
    try:
        with path.open("rb", buffering=0) as file:
            is_pdf = file.read(len(PDF_BEGINNING)) == PDF_BEGINNING
            file.seek(0)
            data = b"" if is_pdf else file.readall()
        # Pages and converted pictures are kept for a while: the next question is often about the same document.
        whole = _pdf_page(path, image.page, modified) if is_pdf else _picture(path, data, modified)
    except OSError as error:
        raise BadImage(f"{path}: can't be read: {error.strerror or error}") from error
    return whole if image.box is None else _part(whole, image.box, path)


def _check_file(path: Path, largest: int = MAX_BYTES) -> int:
    """Refuse what is no readable picture file by its size or kind; return when it was last changed."""
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
    """Read a picture's header. Its format comes from its content, whatever the file is called."""
    import PIL.Image

    try:
        return PIL.Image.open(io.BytesIO(data), formats=OPENED)
    except PIL.Image.DecompressionBombError as error:
        raise BadImage(f"{path}: too many pixels; up to {MAX_PIXELS:,} are read") from error
    except PIL.UnidentifiedImageError as error:
        raise BadImage(
            f"{path}: not a picture that can be read: damaged, or none of {', '.join(OPENED)}, PDF"
        ) from error
    except Exception as error:  # decoders raise whatever they trip over: SyntaxError, struct.error, EOFError ...
        raise BadImage(f"{path}: damaged picture: {error}") from error


@lru_cache(maxsize=16)
def _converted(path: Path, modified: int) -> EncodedImage:  # noqa: ARG001 - part of the cache's key
    """Bring a picture to what every engine takes."""
    data = path.read_bytes()
    picture = _open(path, data)
    if picture.format == "TIFF" and getattr(picture, "n_frames", 1) > 1:
        raise BadImage(f"{path}: a TIFF of several pages; save it as a PDF, whose pages are all read")
    try:
        count, media_type = frames(picture), PASSED_THROUGH.get(picture.format or "")
        # A BMP that becomes a PNG of the same pixels keeps the name that it always had in the store.
        same = media_type is None and picture.mode in PLAIN_MODES and not picture.has_transparency_data and count == 1
        made = shown(picture)
    except Exception as error:  # as in _open
        raise BadImage(f"{path}: damaged picture: {error}") from error
    named = hashlib.sha256(data)
    if not same:
        named.update(RULE)
    remarks = _flat(path.name, made)
    if count > 1:
        remarks += (Remark("moves; its first frame alone is shown", path.name),)
    as_jpeg = media_type == "image/jpeg"
    encoded = _jpeg(made) if as_jpeg else png(made)
    media_type = "image/jpeg" if as_jpeg else "image/png"
    return EncodedImage(encoded, media_type, named.hexdigest(), made.width, made.height, remarks=remarks)


def _flat(name: str, picture: PilImage) -> tuple[Remark, ...]:
    """Say so where there is nothing to see. What can't be decoded is left to the engine, which fails that sample."""
    try:
        picture.draft("RGB", (picture.width // 8, picture.height // 8))  # a JPEG is decoded at a fraction of its size
        extrema = picture.convert("RGB").getextrema()
    except Exception:  # noqa: BLE001 - decoders raise whatever they trip over
        return ()
    if all(isinstance(band, tuple) and band[1] - band[0] < FLAT for band in extrema):
        return (Remark("is one flat colour: nothing can be read on it", name),)
    return ()


def png(picture: PilImage) -> bytes:
    """Encode a picture; nothing is lost."""
    target = io.BytesIO()
    picture.save(target, "PNG", compress_level=1)  # a third of the default's time; the bytes travel on this machine
    return target.getvalue()


def _jpeg(picture: PilImage) -> bytes:
    """Encode what came as JPEG; as PNG a photograph would have five times the bytes, more than endpoints take."""
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return target.getvalue()


# ------------------------------------------------------------------------------------------------- PDF


def pages(image: Image) -> tuple[Image, ...]:
    """Return what stands for a picture: itself, or every page of a PDF that is named without one."""
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
    return tuple(Image(path, page, box=image.box) for page in range(count))


@lru_cache(maxsize=16)
def _pdf_page(path: Path, page: int | None, modified: int) -> EncodedImage:  # noqa: ARG001 - part of the cache's key
    """Draw one page."""
    source = hashlib.sha256(path.read_bytes())
    source.update(f"#page={page or 0}@{PDF_DPI}dpi".encode())
    drawn = pdf.draw(path, page, PDF_DPI, functools.partial(_check_pixels, path))
    picture = drawn.picture
    if drawn.varies:
        source.update(picture.tobytes())
    name = f"{path.name}#page={(page or 0) + 1}"
    remarks = (*(Remark(what, name) for what in drawn.remarks), *_flat(name, picture))
    return EncodedImage(png(picture), "image/png", source.hexdigest(), picture.width, picture.height, remarks=remarks)
