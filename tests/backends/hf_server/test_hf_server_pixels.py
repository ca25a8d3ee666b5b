"""Limits on pixels and sizes of pictures with real image processors of transformers."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("transformers")

from backends.chat_server.errors import RequestError
from backends.hf_server.families.pixels import image_sizes, pixel_options


def processor(model: str, name: str, **settings: Any) -> Any:
    try:
        module = importlib.import_module(f"transformers.models.{model}.image_processing_pil_{model}")
    except ImportError:
        pytest.skip(f"this transformers has no {model} over Pillow")
    return getattr(module, name)(**settings)


def test_glm4v_limits_the_area_times_the_frames_of_a_patch():
    glm = processor("glm4v", "Glm4vImageProcessorPil")
    picture = Image.new("RGB", (1400, 1400))
    limit = 28 * 28 * 400
    assert pixel_options(glm, None, limit) == {"size": {"shortest_edge": 112 * 112, "longest_edge": 2 * limit}}
    seen = glm(images=[picture], return_tensors="pt", **pixel_options(glm, None, limit))
    ((width, height),) = image_sizes(seen, 1, SimpleNamespace(vision_config=SimpleNamespace(patch_size=14)))
    assert 0.8 * limit < width * height <= limit
    small = glm(images=[Image.new("RGB", (56, 56))], return_tensors="pt", **pixel_options(glm, limit, None))
    ((width, height),) = image_sizes(small, 1, SimpleNamespace(vision_config=SimpleNamespace(patch_size=14)))
    assert limit <= width * height < 1.3 * limit


def test_pixtral_pads_several_pictures_and_each_keeps_its_size():
    pixtral = processor("pixtral", "PixtralImageProcessorPil")
    pictures = [Image.new("RGB", size) for size in ((320, 160), (160, 480))]
    seen = pixtral(images=pictures, return_tensors="pt")
    assert seen["pixel_values"].shape[-2:] == (480, 320), "padded to the largest width and height"
    assert image_sizes(seen, 2, None) == ((320, 160), (160, 480))
    with pytest.raises(RequestError, match="no limits on the area"):
        pixel_options(pixtral, None, 3136)
