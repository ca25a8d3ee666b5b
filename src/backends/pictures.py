"""Converts a picture to 8 bits a channel, opaque and upright: one rule for engines, judges, OCR and reports.

Engines treat other pictures differently, as their sources show. vLLM 0.32 (vllm/multimodal/media/image.py) rotates
pictures by EXIF and puts transparency on white, but clips 16-bit grey to white and ignores the transparent colour of an
RGB PNG. SGLang 0.5.23 (srt/utils/common.py `load_image`, multimodal/processors/base_processor.py) only calls Pillow's
`convert("RGB")`, which drops transparency, ignores the rotation and clips 16 bits. So the runner converts pictures
before it sends them, and sends a file's own bytes only if all engines decode them in the same way. The modes are those
of Pillow 13:

- `1`, `L`, `P`, `RGB` without transparency are not changed; `RGBX`, `CMYK`, `YCbCr`, `HSV`, `LAB` become RGB by
  Pillow's formulas. Colour profiles are ignored, as in every engine; Pillow inverts a JPEG's CMYK if Adobe's marker
  asks for it.
- Transparency (`LA`, `La`, `PA`, `RGBA`, `RGBa`, a transparent colour or palette entry) is put on white.
- `I;16` in each byte order: 0 is black, the largest number in the file's bit depth (65535; 4095 for 12 bits) is white.
- `I` and `F` have no largest number. They are scaled by the smallest range that contains all values, of 0 to 1 (`F`
  only), 0 to 255 and 0 to 65535; other values are stretched between the lowest and the highest. A PGM's `I` is 0 to
  65535, as Pillow scales it. Values that are no numbers (NaN, infinity) raise ValueError.
- TIFFs of these kinds in which 0 is white (PhotometricInterpretation 0) are inverted; Pillow does so only for 8 bits.
- The orientation of EXIF (or XMP) is applied. Of an animation the first frame is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

ORIENTATION = 0x0112  # of EXIF
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF 6.0
UNSIGNED = 1  # of SAMPLE_FORMAT
PLAIN_FORMATS = frozenset({"JPEG", "MPO", "PNG", "WEBP"})  # the formats that engines and endpoints take
PLAIN_MODES = frozenset({"1", "L", "P", "RGB"})
PNG_DEPTH = 24  # offset of the bit depth in a PNG: it is in IHDR, which is always the first chunk


def is_plain(image: Image, data: bytes) -> bool:
    """Return whether all engines decode a file's bytes alike. `image` was opened from `data` and not decoded."""
    return (
        image.format in PLAIN_FORMATS
        and image.mode in PLAIN_MODES
        and not image.has_transparency_data
        and not (image.format == "PNG" and data[PNG_DEPTH] > 8)
        and frames(image) == 1
        and is_upright(image, data)
    )


def frames(image: Image) -> int:
    """Return the number of frames of an animation. Further pictures in an MPO and pages of a TIFF don't count."""
    return 1 if image.format in ("MPO", "TIFF") else getattr(image, "n_frames", 1)


def is_upright(image: Image, data: bytes) -> bool:
    """Return whether a picture is stored upright."""
    if image.format == "PNG" and not any(word in data for word in (b"eXIf", b"Raw profile type", b"adobe.xmp")):
        return True  # otherwise Pillow would decode the whole PNG to look for EXIF after its pixels
    return image.getexif().get(ORIENTATION, 1) in (0, 1)


def shown(image: Image) -> Image:
    """Return the converted picture, in mode 1, L, P or RGB. Raises what Pillow's decoders raise, and ValueError."""
    from PIL.ImageOps import exif_transpose

    image.load()
    upright = exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide(upright, image)
    if image.has_transparency_data:
        return _on_white(upright)
    return upright if image.mode in PLAIN_MODES else upright.convert("RGB")


def _on_white(image: Image) -> Image:
    from PIL import Image as Pillow

    if image.mode in ("La", "RGBa"):  # premultiplied alpha, which Pillow converts only to LA and RGBA
        image = image.convert(image.mode.upper())
    colour = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(colour, tuple) and max(colour) > 255:  # from a PNG with 16 bits a channel
        image.info["transparency"] = tuple(value >> 8 for value in colour)
    image = image.convert("RGBA")
    white = Pillow.new("RGBA", image.size, (255, 255, 255, 255))
    return Pillow.alpha_composite(white, image).convert("RGB")


def _from_wide(image: Image, source: Image) -> Image:
    """Reduce grey of more than 8 bits to 8. `source` is the picture as it was opened, with the tags of its file."""
    import numpy
    from PIL import Image as Pillow

    tags: Any = getattr(source, "tag_v2", {})
    bits, kind = (_first(tags.get(tag), usual) for tag, usual in ((BITS_PER_SAMPLE, 16), (SAMPLE_FORMAT, UNSIGNED)))
    values = numpy.asarray(image)
    if image.mode.startswith("I;16"):
        table = numpy.arange(2**16) * (255 / (2 ** min(bits, 16) - 1))
        grey = table.clip(0, 255).round().astype(numpy.uint8)[values]
    else:
        if tags and bits == 32 and kind == UNSIGNED and image.mode == "I":
            values = values.view(numpy.uint32)  # Pillow has only signed integers
        low, high = (0, 65535) if source.format == "PPM" and image.mode == "I" else _range(values, image.mode)
        scaled = (values.astype(numpy.float32) - low) * (255 / max(high - low, 1e-30))
        grey = scaled.clip(0, 255).round().astype(numpy.uint8)
    if tags and _first(tags.get(PHOTOMETRIC), 1) == 0:
        grey = 255 - grey
    clear = source.info.get("transparency")  # the grey level that is transparent in a PNG
    if isinstance(clear, int):
        grey[values == clear] = 255
    return Pillow.fromarray(grey)


def _first(value: Any, usual: int) -> int:
    """Return the number in a TIFF's tag, which may be repeated for each channel."""
    if isinstance(value, (tuple, list)):
        value = value[0] if value else None
    return usual if value is None else int(value)


def _range(values: Any, mode: str) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not abs(low) + abs(high) < float("inf"):
        raise ValueError("it holds values that are no numbers (NaN or infinity)")
    ranges = (1, 255, 65535) if mode == "F" else (255, 65535)
    return next(((0, top) for top in ranges if low >= 0 and high <= top), (low, high))
