"""Pictures that stand in a dataset's file itself, as bytes or in base64. They are written into the store, once each.

A row names such a picture `unpacked:<hash>.png` and carries its bytes; `opening` writes those of the rows that are
kept. The name is the content's hash, so a dataset's digest doesn't depend on where the store lies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path

from runner.base import paths

PREFIX = "unpacked:"
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"%PDF-", ".pdf"),
)
DATA_URL = "data:"


class NoPicture(ValueError):
    """Bytes or a text that should be a picture and aren't one."""


def folder() -> Path:
    """Return the folder in the store that holds unpacked pictures."""
    return paths.store_dir() / "unpacked"


def name_of(data: bytes) -> str:
    """Return the name of a picture by its content. Raise NoPicture for bytes that are none."""
    suffix = next((suffix for beginning, suffix in _BEGINNINGS if data.startswith(beginning)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        suffix = ".webp"
    if not suffix:
        raise NoPicture(f"no picture that can be read: {len(data)} bytes that begin with {data[:8]!r}")
    return f"{PREFIX}{hashlib.sha256(data).hexdigest()}{suffix}"


def decoded(text: str) -> bytes:
    """Return the bytes of a picture in base64, alone or as a data: URL. Raise NoPicture."""
    head, _, payload = text.partition(",") if text.startswith(DATA_URL) else ("", "", text)
    if head and not head.endswith(";base64"):
        raise NoPicture(f"a data: URL that is not base64: {head[:40]}")
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoPicture(f"no base64 ({error}): {text[:40]}…") from error


def write(name: str, data: bytes) -> None:
    """Write a picture into the store, unless it is there."""
    path = folder() / name.removeprefix(PREFIX)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(data)
    unfinished.replace(path)  # atomic, because two runners may open the same dataset
