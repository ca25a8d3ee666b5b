"""Reads the head of a GGUF file: what it says of itself. Standard library only.

    {"general.architecture": "qwen2vl", "general.file_type": 7, ...}

The format is that of the ggml project, version 2 and 3, little-endian: magic, version, two counts, then (key, type,
value). Arrays, such as a vocabulary, are skipped: the value of an array is its length.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# Type -> how `struct` reads it.
_NUMBERS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_MOST = 2**20  # keys, or bytes of a key: more is no GGUF file
# llama_ftype of llama.cpp's include/llama.h: general.file_type -> the word in names of files.
FILE_TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s", 12: "q3_k_m",
    13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 30: "iq4_xs", 32: "bf16",
}  # fmt: skip
# Projectors of pictures of any size, whose limits follow --image-min-tokens and --image-max-tokens exactly: one token
# is a square of patch times merged patches (llama.cpp b11434, tools/mtmd/clip.cpp:1668 and :1766).
LIMITED = ("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "glm4v")


def read(file: Path) -> dict[str, object]:
    """Return the keys and values of a GGUF file. Raise ValueError where it is none, and OSError."""
    with file.open("rb") as stream:
        if stream.read(4) != _MAGIC:
            raise ValueError(f"{file} is no GGUF file")
        try:
            version, _, count = struct.unpack("<IQQ", stream.read(20))
            if version not in _VERSIONS or count > _MOST:
                raise ValueError(f"{file}: GGUF version {version} can't be read; {_VERSIONS[-1]} can")
            values: dict[str, object] = {}
            for _ in range(count):
                key = _text(stream)
                values[key] = _value(stream, int(_number(stream, "<I")))
        except (struct.error, UnicodeDecodeError, KeyError, OverflowError, MemoryError) as error:
            raise ValueError(f"{file}: its head is damaged ({type(error).__name__}: {error})") from error
    return values


def precision(head: Mapping[str, object]) -> str:
    """Return in which form most weights are, as names of files say it (q4_k_m); empty where it isn't known."""
    kind = head.get("general.file_type")
    return FILE_TYPES.get(kind, "") if isinstance(kind, int) else ""


def is_projector(head: Mapping[str, object]) -> bool:
    """Say whether a file holds what turns pictures into tokens, and no language model."""
    return head.get("general.architecture") == "clip"


def image_tokens(head: Mapping[str, object], least: int | None, most: int | None) -> tuple[int | None, int | None]:
    """Return limits on pixels as limits on a picture's tokens, within them. Raise ValueError where they can't be."""
    kind = str(head.get("clip.vision.projector_type") or head.get("clip.projector_type") or "unknown")
    patch, merge = head.get("clip.vision.patch_size"), head.get("clip.vision.spatial_merge_size", 2)
    if kind not in LIMITED or not isinstance(patch, int) or not isinstance(merge, int):
        raise ValueError(f"limits on pixels have no sure meaning for a projector of kind {kind}")
    area = (patch * merge) ** 2
    if most is not None and most < area:
        raise ValueError(f"max_pixels={most} is less than the {area} pixels of one token")
    return (None if least is None else -(-least // area)), (None if most is None else most // area)


def _value(stream: BinaryIO, kind: int) -> object:
    if kind == _STRING:
        return _text(stream)
    if kind != _ARRAY:
        return _number(stream, _NUMBERS[kind])
    inner, count = _number(stream, "<I"), int(_number(stream, "<Q"))
    if inner == _STRING:
        for _ in range(count):
            stream.seek(int(_number(stream, "<Q")), 1)
    elif inner == _ARRAY:
        for _ in range(count):
            _value(stream, _ARRAY)
    else:
        stream.seek(count * struct.calcsize(_NUMBERS[int(inner)]), 1)
    return count


def _number(stream: BinaryIO, form: str) -> int | float:
    found: int | float = struct.unpack(form, stream.read(struct.calcsize(form)))[0]
    return found


def _text(stream: BinaryIO) -> str:
    length = int(_number(stream, "<Q"))
    if length > 64 * _MOST:
        raise OverflowError(f"a text of {length} bytes")
    return stream.read(length).decode("utf-8")
