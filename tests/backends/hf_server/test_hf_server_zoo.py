"""Architectures of the zoo that the installed transformers ships: tiny random weights, asked as a checkpoint is."""

from __future__ import annotations

import importlib.util

import pytest

from backends.chat_server.errors import LoadError

from .test_hf_server_models import answer, load_model


@pytest.fixture(scope="session")
def tiny_zoo(tiny_models):
    """The makers of tiny checkpoints; imports torch when used."""
    return importlib.import_module("tiny_zoo")


KINDS = (
    "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "internvl", "minicpmv4_6", "glm4v_moe", "glm_ocr", "gemma4", "mistral3",
    "lighton_ocr", "paddleocr_vl", "deepseek_ocr2", "hunyuan_vl", "idefics3",
)  # fmt: skip
# transformers 5.24: PixtralProcessor is behind @requires(torchvision), and MiniCPM-V 4.6's reads its video processor.
WITH_TORCHVISION = ("mistral3", "minicpmv4_6")


def first_logits(loaded, ticket):
    import torch

    with torch.no_grad():
        return loaded.model(**ticket.prepared.inputs).logits[0, -1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiny_model_of_the_zoo_answers_alone_and_in_a_batch(tiny_zoo, bodies, tmp_path, kind):
    folder = tiny_zoo.make(tmp_path / kind, kind)
    if kind in WITH_TORCHVISION and importlib.util.find_spec("torchvision") is None:
        with pytest.raises(LoadError, match="torchvision"):
            load_model(folder)
        pytest.skip(f"{kind}: its processor needs torchvision, which is not installed; that it is said was tested")
    loaded = load_model(folder)
    requests = [bodies.request(bodies.picture(112, 84, seed), max_tokens=6) for seed in (1, 2)]
    singles = [answer(loaded, request)[0] for request in requests]
    assert singles[0].prepared.image_tokens > 0
    one, other = (first_logits(loaded, ticket) for ticket in singles)
    assert not one.equal(other), "it sees the picture"
    assert [ticket.text for ticket in answer(loaded, *requests)] == [ticket.text for ticket in singles]
