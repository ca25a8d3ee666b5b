"""One small page in every mode and format that Pillow knows, with what a reader of it must see.

The page is light grey (220) with a dark block (44) near its upper left corner, so that a lying page is told from an
upright one. Where the file has transparency, its ground is clear: it must be seen white (255).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

WIDTH, HEIGHT = 64, 48
INK, GROUND = 44, 220
BLOCK = (8, 8, 32, 24)  # multiples of JPEG's blocks, so that its noise stays small


@dataclass(frozen=True)
class Page:
    """A file, what must be seen of it in grey, and whether its own bytes are sent."""

    name: str
    data: bytes
    seen: np.ndarray
    passes: bool = False

    @property
    def suffix(self) -> str:
        return self.name.partition(" ")[0]


def grey(ground: int = GROUND) -> Image.Image:
    page = Image.new("L", (WIDTH, HEIGHT), ground)
    page.paste(INK, BLOCK)
    return page


def _encoded(image: Image.Image, kind: str, **keys: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **keys)
    return target.getvalue()


def _tags(data: bytes, **values: int) -> bytes:
    """Change short values of a little-endian TIFF."""
    numbers = {"photometric": 262, "orientation": 274}
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", changed, 4)
    (count,) = struct.unpack_from("<H", changed, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", changed, place)
        for name, value in values.items():
            if numbers[name] == tag:
                struct.pack_into("<H", changed, place + 8, value)
    return bytes(changed)


def _png16(channels: np.ndarray, colour_type: int, transparent: bytes = b"") -> bytes:
    """A PNG of 16 bits a channel, which Pillow writes for grey only. `channels`: (height, width[, channels])."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in channels.astype(">u2"))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    clear = chunk(b"tRNS", transparent) if transparent else b""
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + clear + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pages() -> Iterator[Page]:
    """Yield the page in each kind of file. A name begins with the format, which is the suffix too."""
    page, seen = grey(), np.asarray(grey())
    rgb, wide = page.convert("RGB"), np.asarray(page).astype(np.uint16) * 257
    clear = np.where(seen == GROUND, 255, seen).astype(np.uint8)
    opaque = page.point(lambda value: 255 if value == INK else 0)

    def on_clear(mode: str) -> Image.Image:
        image = page.convert(mode)
        image.putalpha(opaque)
        return image

    # 8 bits, opaque, upright: as they are
    yield Page("png L", _encoded(page, "PNG"), seen, passes=True)
    yield Page("png RGB", _encoded(rgb, "PNG"), seen, passes=True)
    yield Page("png P", _encoded(page.convert("P"), "PNG"), seen, passes=True)
    yield Page("png 1", _encoded(page.convert("1", dither=Image.Dither.NONE), "PNG"), (seen > 127) * 255, passes=True)
    yield Page("jpg L", _encoded(page, "JPEG", quality=95), seen, passes=True)
    yield Page("jpg RGB", _encoded(rgb, "JPEG", quality=95), seen, passes=True)
    yield Page("webp RGB", _encoded(rgb, "WEBP", lossless=True), seen, passes=True)
    # other formats
    yield Page("bmp RGB", _encoded(rgb, "BMP"), seen)
    yield Page("gif P", _encoded(page, "GIF"), seen)
    yield Page("ppm L", _encoded(page, "PPM"), seen)
    for mode in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"):
        image = page.convert(mode, dither=Image.Dither.NONE) if mode in ("1", "P") else rgb.convert(mode)
        yield Page(f"tif {mode}", _encoded(image, "TIFF"), (seen > 127) * 255 if mode == "1" else seen)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(rgb, to_lab)
    assert lab is not None
    yield Page("tif LAB", _encoded(lab, "TIFF"), seen)
    yield Page("jpg CMYK", _encoded(rgb.convert("CMYK"), "JPEG", quality=95), seen)
    # more than 8 bits
    yield Page("png I;16", _encoded(Image.fromarray(wide), "PNG"), seen)
    yield Page("png RGB 16 bits", _png16(np.repeat(wide[:, :, None], 3, axis=2), 2), seen)
    yield Page("tif I;16", _encoded(Image.fromarray(wide), "TIFF"), seen)
    yield Page("tif I;16 deflate", _encoded(Image.fromarray(wide), "TIFF", compression="tiff_deflate"), seen)
    yield Page("tif I;16B", _encoded(Image.fromarray(wide.astype(">u2")), "TIFF"), seen)
    yield Page("tif I;16 white is 0", _tags(_encoded(Image.fromarray(65535 - wide), "TIFF"), photometric=0), seen)
    yield Page("tif I to 65535", _encoded(Image.fromarray(wide.astype(np.int32)), "TIFF"), seen)
    yield Page("tif I to 255", _encoded(Image.fromarray(seen.astype(np.int32)), "TIFF"), seen)
    yield Page("tif F to 1", _encoded(Image.fromarray((seen / 255).astype(np.float32)), "TIFF"), seen)
    yield Page("tif F to 255", _encoded(Image.fromarray(seen.astype(np.float32)), "TIFF"), seen)
    stretched = np.where(seen == INK, 0, 255)
    yield Page("tif F from -1000", _encoded(Image.fromarray(seen.astype(np.float32) - 1000), "TIFF"), stretched)
    yield Page("ppm I", f"P5 {WIDTH} {HEIGHT} 65535\n".encode() + wide.astype(">u2").tobytes(), seen)
    # transparency
    yield Page("png LA", _encoded(on_clear("L"), "PNG"), clear)
    yield Page("png RGBA", _encoded(on_clear("RGB"), "PNG"), clear)
    yield Page("png L with a clear grey", _encoded(page, "PNG", transparency=GROUND), clear)
    yield Page("png RGB with a clear colour", _encoded(rgb, "PNG", transparency=(GROUND,) * 3), clear)
    yield Page("png P with a clear entry", _encoded(page.convert("P"), "PNG", transparency=GROUND), clear)
    yield Page("png I;16 with a clear grey", _png16(wide, 0, struct.pack(">H", GROUND * 257)), clear)
    yield Page("gif P with a clear entry", _encoded(page.convert("P"), "GIF", transparency=GROUND), clear)
    yield Page("webp RGBA", _encoded(on_clear("RGB"), "WEBP", lossless=True), clear)
    yield Page("tif RGBA", _encoded(on_clear("RGB"), "TIFF"), clear)
    yield Page("tif LA", _encoded(on_clear("L"), "TIFF"), clear)
    # lying, moving
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    lying = page.transpose(Image.Transpose.ROTATE_90)
    for kind in ("jpg", "png", "webp"):
        options = {"jpg": {"quality": 95}, "png": {}, "webp": {"lossless": True}}[kind]
        name = "JPEG" if kind == "jpg" else kind.upper()
        yield Page(f"{kind} lying", _encoded(lying.convert("RGB"), name, exif=exif, **options), seen)
    other = Image.new("RGB", page.size, "red")
    yield Page("gif moving", _encoded(rgb, "GIF", save_all=True, append_images=[other]), seen)
    yield Page("webp moving", _encoded(rgb, "WEBP", lossless=True, save_all=True, append_images=[other]), seen)
    yield Page("png moving", _encoded(rgb, "PNG", save_all=True, append_images=[other]), seen)


PAGES = tuple(pages())
