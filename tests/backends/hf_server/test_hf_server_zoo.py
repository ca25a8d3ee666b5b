"""Every architecture of the zoo that the installed transformers builds from settings alone: asked as a checkpoint is."""

from __future__ import annotations

import importlib.util

import pytest

from .test_hf_server_models import answer, load_model


@pytest.fixture(scope="session")
def tiny_zoo(tiny_models):
    """The makers of tiny checkpoints; imports torch when used."""
    return importlib.import_module("tiny_zoo")


KINDS = (
    "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "internvl", "minicpmv4_6", "glm4v_moe", "glm_ocr", "gemma4", "mistral3",
    "lighton_ocr", "paddleocr_vl", "deepseek_ocr2", "hunyuan_vl", "idefics3",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiny_model_of_the_zoo_answers_alone_and_in_a_batch(tiny_zoo, bodies, tmp_path, kind):
    loaded = load_model(tiny_zoo.make(tmp_path / kind, kind))
    requests = [bodies.request(bodies.picture(112, 84, seed), max_tokens=6) for seed in (1, 2)]
    singles = [answer(loaded, request)[0] for request in requests]
    assert singles[0].prepared.image_tokens > 0
    assert singles[0].text != singles[1].text, "it sees the picture"
    assert [ticket.text for ticket in answer(loaded, *requests)] == [ticket.text for ticket in singles]
