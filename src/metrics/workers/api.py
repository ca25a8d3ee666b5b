"""What the tasks of a worker share, apart from `metrics.worker`, which runs as `__main__`. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Item = Mapping[str, Any]


class Unavailable(Exception):
    """Nothing can be scored here: weights, script or library can't be had. The message becomes the reason."""
