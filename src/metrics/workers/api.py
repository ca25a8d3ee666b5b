"""Types shared by the worker's tasks. They are not in `metrics.worker`, which runs as `__main__`. Stdlib only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Item = Mapping[str, Any]


class Unavailable(Exception):
    """Nothing can be scored: weights, script or library are missing. The message becomes the reason of each score."""
