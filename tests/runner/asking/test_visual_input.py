from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from backends.hf_server.families.qwen_sizes import package_rule
from runner.asking.visual_input import ResizeRule, resize_rule
from tests.conftest import ROOT

QWEN2_VL = ROOT / "assets" / "architectures" / "qwen2vl_2b"


def test_the_rule_is_that_of_the_published_processor() -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    draw = random.Random(0)
    for _ in range(3000):
        width, height = draw.randint(1, 3000), draw.randint(28, 3000)
        if max(width, height) / min(width, height) > 200:
            continue
        low, high = draw.choice([(3136, 1003520), (3136, 12845056), (200704, 401408)])
        expected = smart_resize(height, width, factor=28, min_pixels=low, max_pixels=high)
        assert ResizeRule(28, low, high).size(width, height) == expected[::-1], (width, height, low, high)


def test_limits_of_a_job_stand_in_for_those_of_the_checkpoint() -> None:
    rule = resize_rule(str(QWEN2_VL))
    assert rule == ResizeRule(28, 3136, 12845056)
    assert rule.tokens(336, 112) == 48
    assert resize_rule(str(QWEN2_VL), max_pixels=50176) == ResizeRule(28, 3136, 50176)


@pytest.mark.parametrize("values", [{}, {"patch_size": 14}, {"patch_size": 14, "merge_size": 2}])
def test_another_processor_has_no_rule_here(tmp_path: Path, values: dict[str, int]) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(values))
    assert resize_rule(str(tmp_path)) is None


def test_newer_processors_nest_their_values(tmp_path: Path) -> None:
    nested = {"patch_size": 16, "merge_size": 2, "size": {"shortest_edge": 4096, "longest_edge": 65536}}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": nested}))
    assert resize_rule(str(tmp_path)) == ResizeRule(32, 4096, 65536)


def test_sizes_are_those_of_qwen_vl_utils():
    pytest.importorskip("torch")
    smart_resize = package_rule()
    draw = random.Random(0)
    for _ in range(2000):
        width, height = draw.randint(28, 5000), draw.randint(28, 5000)
        rule = ResizeRule(28, 28 * 28 * draw.randint(1, 16), 28 * 28 * draw.randint(64, 16384))
        wanted = smart_resize(height, width, 28, rule.min_pixels, rule.max_pixels)
        if min(wanted) >= 28:  # of extreme ones theirs leaves nothing of one edge
            assert rule.size(width, height) == wanted[::-1], (width, height, rule)
