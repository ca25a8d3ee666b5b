"""The HF engine's name for `backends.chat_server.images.decode_image`."""

from backends.chat_server.images import decode_image

__all__ = ["decode_image"]
