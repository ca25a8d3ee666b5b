"""Pictures of Qwen-VL models beside qwen-vl-utils, Qwen's own package: the same pixels, and a word where not."""

from __future__ import annotations

import base64
import io
import logging
import random
import sys
from types import SimpleNamespace

import pytest
from PIL import Image

from backends.hf_server.families.qwen_sizes import qwen_sizes, torchvision_stands_in
from backends.hf_server.settings import Settings
from tests.conftest import ROOT

pytest.importorskip("torch")
SIZES = [(336, 112), (620, 877), (800, 600), (29, 300), (431, 87)]
LIMITS = [(3136, 12845056), (3136, 50176), (200704, 401408)]
STRIP = (814, 11)  # narrower than half a visual token
CONFIG = SimpleNamespace(model_type="qwen2_vl")


@pytest.fixture(scope="module", params=["qwen2vl_2b", "qwen2_5vl_3b"])
def processor(request):
    """The image processor of a published model, with its own limits."""
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(ROOT / "assets" / "architectures" / request.param)


def picture(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(width).randbytes(width * height * 3))


def test_the_processor_alone_makes_the_pixels_that_qwens_package_and_it_make_together(processor):
    """qwen-vl-utils 0.0.14 beside transformers 5.23 with Pillow; what they differ in is told: the test below."""
    import torch

    with torchvision_stands_in():
        from qwen_vl_utils import fetch_image
    for size in SIZES:
        for low, high in LIMITS:
            original, limits = picture(*size), {"shortest_edge": low, "longest_edge": high}
            prepared = fetch_image({"image": original, "min_pixels": low, "max_pixels": high}, processor.patch_size)
            alone = processor(images=[original], size=limits, return_tensors="pt")
            together = processor(images=[prepared], size=limits, return_tensors="pt")
            assert torch.equal(alone["image_grid_thw"], together["image_grid_thw"]), (size, low, high)
            assert torch.equal(alone["pixel_values"], together["pixel_values"]), (size, low, high)
    assert not [name for name in sys.modules if name.startswith("qwen_vl_utils")], (
        "made with a torchvision that is none"
    )


def test_sizes_are_compared_picture_by_picture(processor, caplog):
    sizes = qwen_sizes(processor, CONFIG)
    grids = [processor(images=[picture(*size)], return_tensors="pt")["image_grid_thw"][0] for size in [*SIZES, STRIP]]
    seen = [(int(grid[2]) * processor.patch_size, int(grid[1]) * processor.patch_size) for grid in grids]
    with caplog.at_level(logging.WARNING):
        sizes.compare(SIZES, seen[:-1], None)
        assert not caplog.text
        for _ in range(2):
            sizes.compare([STRIP], seen[-1:], None)
    (told,) = caplog.messages
    assert "a picture of 814 x 11: 18 tokens by the processor, 29 by qwen-vl-utils" in told
    account = sizes.account()
    assert (account["pictures"], account["differing"]) == (len(SIZES) + 2, 2) and account["first"] in told
    sizes.reset()
    assert sizes.account() == {"version": account["version"], "pictures": 0, "differing": 0, "first": ""}


def test_a_family_compares_what_it_was_asked_with_the_limits_of_the_request(tiny_models, tmp_path):
    from backends.chat_server.protocol import parse_chat_request
    from backends.hf_server.configuration import load_config
    from backends.hf_server.families.chat_image_text import ChatImageText

    settings = Settings(model=str(tiny_models.make_qwen(tmp_path / "qwen")), port=1)
    family = ChatImageText(settings, load_config(settings))
    stream = io.BytesIO()
    picture(300, 200).save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    body = {
        "model": "model",
        "messages": [{"role": "user", "content": content}],
        "mm_processor_kwargs": {"max_pixels": 12544},
    }
    prepared = family.prepare(parse_chat_request(body, "model"))
    assert 0 < prepared.image_tokens <= 16
    account = family.qwen_sizes.account()
    assert (account["pictures"], account["differing"]) == (1, 0)


@pytest.mark.parametrize("broken", [ImportError("no such package"), RuntimeError("torchvision::nms does not exist")])
def test_without_the_package_nothing_is_compared_and_the_log_says_so(processor, monkeypatch, caplog, broken):
    def fail() -> None:
        raise broken

    monkeypatch.setattr("backends.hf_server.families.qwen_sizes.package_rule", fail)
    with caplog.at_level(logging.INFO):
        assert qwen_sizes(processor, CONFIG) is None
    assert f"sizes of pictures are not compared with qwen-vl-utils: {broken}" in caplog.text


def test_other_models_have_no_rule_to_compare(processor):
    assert qwen_sizes(processor, SimpleNamespace(model_type="llava")) is None
    assert qwen_sizes(SimpleNamespace(size={"height": 224, "width": 224}), CONFIG) is None
