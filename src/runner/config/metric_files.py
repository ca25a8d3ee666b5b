"""Files that metrics' options name, as absolute paths: from the working directory, else from the shipped data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.base import paths

FILES = ("schema",)  # options that are the path of a file


def resolved(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics by name and options, with absolute paths."""
    return {name: _options(options) if isinstance(options, Mapping) else options for name, options in metrics.items()}


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: str(paths.resolve(value)) if name in FILES and isinstance(value, str) else value
        for name, value in options.items()
    }
