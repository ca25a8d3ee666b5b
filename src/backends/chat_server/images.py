"""Decodes the images of a request to RGB."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from backends.chat_server.errors import RequestError
from backends.pictures import shown

# Pillow only warns of an image with one to two times its limit of 89 megapixels. A server must refuse such an image.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def decode_image(data: bytes, number: int) -> Image.Image:
    """Decode image `number` (counted from 1) of a request to RGB, by the rule of backends/pictures.py."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return shown(image).convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        message = f"image {number} is larger than {Image.MAX_IMAGE_PIXELS} pixels; scale it down first"
        raise RequestError(message, code="bad_image") from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors for a broken file
        reason = "not an image format that Pillow reads" if isinstance(error, UnidentifiedImageError) else error
        message = f"image {number} of the request ({len(data)} bytes) can't be decoded: {reason}"
        raise RequestError(message, code="bad_image") from error
