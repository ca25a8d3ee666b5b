"""LayoutLMv2, LayoutLMv3 and LayoutXLM: words of tesseract in, a run of them out."""

from __future__ import annotations

import base64
import io
import math
import shutil
import time
from types import SimpleNamespace

import pytest

from backends.chat_server.completions import Delta, Failed, Finished
from backends.chat_server.errors import LoadError, RequestError
from backends.chat_server.protocol import parse_chat_request
from backends.hf_server import batcher
from backends.hf_server.settings import Settings

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed: apt install tesseract-ocr tesseract-ocr-rus"
)
LINES = ("Invoice 2741", "Total 1500", "Buyer Romashka")


def page(*lines: str) -> dict:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (700, 40 + 70 * len(lines)), "white")
    for row, line in enumerate(lines):
        ImageDraw.Draw(picture).text((20, 20 + 70 * row), line, "black", font=ImageFont.load_default(44))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def request(*parts: dict, question: str = "What is the total?", **values):
    content = [*parts, {"type": "text", "text": question}]
    body = {"model": "model", "messages": [{"role": "user", "content": content}], "temperature": 0, **values}
    return parse_chat_request(body, "model")


@pytest.fixture(scope="module")
def loaded(tiny_models, tmp_path_factory):
    from backends.hf_server.loading import load

    folder = tiny_models.make_layoutlmv3(tmp_path_factory.mktemp("layoutlmv3"))
    return load(Settings(model=str(folder), port=1, device="cpu", dtype="float32"), lambda _: None)


def answered(loaded, asked):
    from backends.hf_server import direct

    events = []
    ticket = SimpleNamespace(
        request=asked,
        arrived=time.perf_counter(),
        prepare_s=0.0,
        cancelled=False,
        prepared=loaded.family.prepare(asked),
        emit=events.append,
    )
    direct.run_batch(loaded, [ticket])
    return events


@needs_tesseract
def test_an_answer_is_a_run_of_the_words_of_a_page(loaded):
    words = " ".join(LINES).split()
    delta, finished = answered(loaded, request(page(*LINES)))
    assert isinstance(delta, Delta) and isinstance(finished, Finished)
    run = delta.text.split()
    assert any(words[at : at + len(run)] == run for at in range(len(words))), delta.text
    assert finished.prompt_tokens > 40 and finished.completion_tokens >= len(run)
    # Whole words are given, so a limit of one token gives one word.
    short, _ = answered(loaded, request(page(*LINES), max_tokens=1))
    assert len(short.text.split()) == 1


@needs_tesseract
@pytest.mark.parametrize("xlm", [False, True])
def test_layoutlmv2_and_layoutxlm_answer_without_detectron2(tiny_models, tmp_path, xlm):
    import torch

    from backends.hf_server.loading import load

    folder = tiny_models.make_layoutlmv2(tmp_path / "model", xlm=xlm)
    loaded = load(Settings(model=str(folder), port=1, device="cpu", dtype="float32"), lambda _: None)
    words = " ".join(LINES).split()
    delta, finished = answered(loaded, request(page(*LINES)))
    run = delta.text.split()
    assert any(words[at : at + len(run)] == run for at in range(len(words))), delta.text
    assert finished.prompt_tokens > 40
    long = loaded.family.prepare(request(page(*[f"Line {n} of a long page" for n in range(20)])))
    rows = long.inputs["pages"][0]["rows"]
    assert rows["input_ids"].shape[1] == 258 and len(rows["input_ids"]) > 1, "windows of all positions that it has"
    assert "token_type_ids" not in rows if xlm else int(rows["token_type_ids"].max()) == 1, "questions and pages"
    # The picture counts: the backbone's features reach the answer's scores.
    (seen,) = loaded.family.prepare(request(page(*LINES))).inputs["pages"]
    given = {**seen["rows"], "image": seen["pixel_values"]}
    with torch.inference_mode():
        scores = loaded.model(**given).start_logits
        other = loaded.model(**{**given, "image": 255 - given["image"]}).start_logits
    assert given["image"].shape == (1, 3, 224, 224) and not torch.equal(scores, other)


def test_the_backbone_of_layoutlmv2_has_the_names_and_sizes_of_detectron2():
    """The values were compared with detectron2's own code at 02b5c4e2: equal to the last bit, ResNeXt and ResNet."""
    import torch
    from transformers import LayoutLMv2Config

    from backends.hf_server.families import resnext_fpn

    with torch.device("meta"):
        backbone = resnext_fpn.VisualBackbone(LayoutLMv2Config()).backbone
    weights = {name: tuple(value.shape) for name, value in backbone.state_dict().items()}
    assert len(weights) == 536
    assert weights["bottom_up.stem.conv1.weight"] == (64, 3, 7, 7)
    assert weights["bottom_up.res2.0.shortcut.norm.running_var"] == (256,)
    assert weights["bottom_up.res4.22.conv2.weight"] == (1024, 32, 3, 3), "32 groups of 32"
    assert weights["bottom_up.res5.2.conv3.weight"] == (2048, 2048, 1, 1)
    assert weights["fpn_lateral5.bias"] == weights["fpn_output2.bias"] == (256,)
    assert backbone(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, 256, 56, 56)


def test_frozen_norms_are_batch_norms_of_stored_statistics():
    import torch

    from backends.hf_server.families.resnext_fpn import FrozenBatchNorm2d

    own, known = FrozenBatchNorm2d(3), torch.nn.BatchNorm2d(3).eval()
    values = {name: torch.rand(3) for name in own.state_dict()}
    own.load_state_dict(values)
    known.load_state_dict(values, strict=False)
    pixels = torch.rand(2, 3, 4, 4)
    assert torch.equal(own(pixels), known(pixels).detach())


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"MODEL.RESNETS.DEPTH": 18}, "RESNETS.DEPTH=18"),
        ({"MODEL.FPN.NORM": "GN"}, "FPN.NORM=GN"),
        ({"MODEL.BACKBONE.NAME": "build_resnet_backbone"}, "BACKBONE.NAME=build_resnet_backbone"),
        ({"MODEL.RESNETS.DEFORM_ON_PER_STAGE": [False, True, True, True]}, "DEFORM_ON_PER_STAGE"),
    ],
)
def test_another_backbone_is_refused(setting, words):
    from transformers import LayoutLMv2Config

    from backends.hf_server.families.resnext_fpn import settings_of

    with pytest.raises(LoadError, match=words.replace("[", r"\[")):
        settings_of(LayoutLMv2Config.get_default_detectron2_config() | setting)


@needs_tesseract
def test_a_checkpoint_without_a_head_for_questions_is_refused(tiny_models, tmp_path):
    """That of microsoft's base models: its answers would be random."""
    from safetensors.torch import load_file, save_file

    from backends.hf_server.loading import load

    folder = tiny_models.make_layoutlmv2(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("qa_outputs")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(LoadError, match=r"lacks 2 weights.*qa_outputs\.bias"):
        load(Settings(model=str(folder), port=1, device="cpu"), lambda _: None)


@needs_tesseract
def test_pages_and_windows_compete(loaded):
    """The best run of all windows is that of the best window asked alone."""
    pages = [page(*LINES), page("Act 17", "Sum 99"), page(*[f"Line {n} of a long page" for n in range(20)])]
    alone = [answered(loaded, request(one))[0].text for one in pages]
    assert answered(loaded, request(*pages))[0].text in alone
    prepared = loaded.family.prepare(request(pages[2]))
    assert len(prepared.inputs["pages"][0]["word_of_token"]) > 1, "the long page takes several windows"


@needs_tesseract
def test_a_blank_page_has_no_answer(loaded):
    (finished,) = answered(loaded, request(page()))
    assert finished.completion_tokens == 0


def test_the_best_span_lies_within_the_page_and_the_limit():
    import torch

    from backends.hf_server.families.document_qa import _best_span

    words = [-1, -1, 0, 0, 1, 2, -1]
    starts = torch.tensor([9.0, 9.0, 1.0, 5.0, 0.0, 0.0, 9.0])
    ends = torch.tensor([0.0, 9.0, 6.0, 0.0, 1.0, 4.0, 9.0])
    score, first, last = _best_span(starts, ends, words, 10)
    assert (first, last) == (3, 5)
    assert score < math.log(0.05), "most of the probability lies on no answer"
    assert _best_span(starts, ends, words, 2)[1:] == (2, 2), "3 to 5 would be three tokens"


@needs_tesseract
@pytest.mark.parametrize(
    ("parts", "values", "words"),
    [
        (0, {}, "needs the picture"),
        (1, {"temperature": 0.5}, "draws no tokens"),
        (1, {"stop": "x"}, "draws no tokens"),
        (1, {"mm_processor_kwargs": {"max_pixels": 5000}}, "one size of picture"),
    ],
)
def test_what_it_can_not_be_asked(loaded, parts, values, words):
    with pytest.raises(RequestError, match=words):
        loaded.family.prepare(request(*[page("A")] * parts, **values))


@needs_tesseract
def test_it_has_no_probabilities_of_tokens(loaded):
    ticket = SimpleNamespace(request=request(page("A"), logprobs=True))
    with pytest.raises(RequestError, match="no probabilities of tokens"):
        batcher._prepare(ticket, loaded.family, None)


@needs_tesseract
def test_a_failure_of_one_leaves_the_next(loaded, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such thing")

    with monkeypatch.context() as patch:
        patch.setattr(type(loaded.family), "answer", broken)
        (failed,) = answered(loaded, request(page("A 1")))
    assert isinstance(failed, Failed) and failed.error.code == "generation_failed"
    assert answered(loaded, request(page("Invoice 2741")))[0].text


def test_without_tesseract_it_says_what_to_install(tiny_models, tmp_path, monkeypatch):
    from backends.hf_server.loading import load

    folder = tiny_models.make_layoutlmv3(tmp_path / "model")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LoadError, match="apt install tesseract-ocr"):
        load(Settings(model=str(folder), port=1, device="cpu"), lambda _: None)
