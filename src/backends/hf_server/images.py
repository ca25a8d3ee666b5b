"""How the HF engine decodes the pictures of a request: as every server of ours does."""

from backends.chat_server.images import decode_image

__all__ = ["decode_image"]
