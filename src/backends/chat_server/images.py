"""Encoded images to RGB."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from backends.chat_server.errors import RequestError

# Pillow only warns between one and two times its limit of 89 megapixels; a server must not decode such a bomb.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode_image(data: bytes, number: int) -> Image.Image:
    """Decode the `number`-th image (from 1) of a request to RGB, upright by its EXIF, transparency on white."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        message = f"image {number} is larger than {Image.MAX_IMAGE_PIXELS} pixels; scale it down first"
        raise RequestError(message, code="bad_image") from error
    except Exception as error:  # broken files make Pillow's decoders raise nearly anything
        reason = "not an image format that Pillow reads" if isinstance(error, UnidentifiedImageError) else error
        message = f"image {number} of the request ({len(data)} bytes) can't be decoded: {reason}"
        raise RequestError(message, code="bad_image") from error


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # 16-bit grey: plain conversion would clip all but the darkest to white
        return image.convert("I").point(lambda value: value / 256).convert("L").convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
