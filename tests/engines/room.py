"""Skips a test for whose environment the disk has no room, unless it is built already."""

import shutil

import pytest

from backends.process.environments import cache_dir
from tests.conftest import NO_ROOM

GIB = {"vllm": 6, "sglang": 20}  # that an environment needs while it is built


def skip_without_room(backend: str) -> None:
    cache_dir().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache_dir()).free / 2**30
    if free < GIB.get(backend, 0) and not any(cache_dir().glob(f"{backend}_cpu-*/.built.json")):
        pytest.skip(f"{free:.0f} {NO_ROOM} {GIB[backend]}")
