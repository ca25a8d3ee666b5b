"""Passes pixel limits to an image processor, and reads the size to which it resized an image."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from backends.chat_server.errors import RequestError


def pixel_options(image_processor: Any, low: int | None, high: int | None) -> dict[str, Any]:
    """Return the processor's arguments for an area from `low` to `high` pixels; None keeps the checkpoint's limit."""
    size = dict(getattr(image_processor, "size", None) or {})
    kinds = getattr(getattr(image_processor, "valid_kwargs", None), "__annotations__", {})
    frames = _frames(image_processor)
    if frames is None and "max_pixels" not in kinds and not hasattr(image_processor, "max_pixels"):
        raise RequestError(
            f"this model's image processor ({type(image_processor).__name__}) has no limits on the area in pixels; "
            "leave min_pixels and max_pixels out",
            code="unsupported_parameter",
            param="mm_processor_kwargs",
        )
    low, high = (limit * (frames or 1) if limit else None for limit in (low, high))
    low = low or size.get("shortest_edge") or getattr(image_processor, "min_pixels", None)
    high = high or size.get("longest_edge") or getattr(image_processor, "max_pixels", None)
    if low is not None and high is not None and low > high:
        raise RequestError(
            f"min_pixels {low} is larger than max_pixels {high}; one of them is the checkpoint's own, so give both",
            param="mm_processor_kwargs",
        )
    if {"shortest_edge", "longest_edge"} <= set(size):  # they are areas, in spite of their names
        return {"size": {"shortest_edge": low, "longest_edge": high}}
    return {"min_pixels": low, "max_pixels": high}


def _frames(image_processor: Any) -> int | None:
    """Return how many frames a picture counts for in the limits of a processor; None where they are of the area alone.

    GLM-4V's limit the area times the frames of a patch, which a still picture fills by repetition (transformers 5.23.0,
    models/glm4v/image_processing_glm4v.py, `smart_resize`), and they are set through `size` alone.
    """
    rule = getattr(sys.modules.get(type(image_processor).__module__), "smart_resize", None)
    size = getattr(image_processor, "size", None) or {}
    if rule is None or "num_frames" not in inspect.signature(rule).parameters:
        return None
    return int(image_processor.temporal_patch_size) if {"shortest_edge", "longest_edge"} <= set(dict(size)) else None


def image_sizes(inputs: Mapping[str, Any], images: int, config: Any) -> tuple[tuple[int, int], ...]:
    """Return (width, height) in pixels of each image as the model sees it; an empty tuple if it is not known.

    It is read from `image_grid_thw` (images, 3), in patches, or `pixel_values` (images, channels, height, width). The
    latter may be padded to the largest of several pictures, as Pixtral's are: `image_sizes` (images, 2) then holds the
    height and width of each (transformers 5.23.0, models/pixtral/image_processing_pixtral.py, `_pad_for_batching`).
    """
    grid = inputs.get("image_grid_thw")
    if grid is not None:
        patch = config.vision_config.patch_size
        return tuple((int(width) * patch, int(height) * patch) for _, height, width in grid.tolist())
    pixels = inputs.get("pixel_values")
    own = inputs.get("image_sizes")
    if own is not None and getattr(pixels, "ndim", 0) == 4 and len(own) == images:
        return tuple((int(width), int(height)) for height, width in own)
    if pixels is not None and getattr(pixels, "ndim", 0) == 4 and pixels.shape[0] == images:
        return ((pixels.shape[3], pixels.shape[2]),) * images
    return ()
