"""Videos as sequences of JPEG frames, fed to the Qwen2-VL family without torchvision."""

from __future__ import annotations

import base64
import io

import pytest

from backends.chat_server.errors import RequestError
from backends.chat_server.protocol import Clip, parse_chat_request
from backends.hf_server.settings import Settings


def frame(seed: int, width: int = 112, height: int = 84) -> bytes:
    import random

    from PIL import Image

    target = io.BytesIO()
    noise = random.Random(seed).randbytes(width * height * 3)
    Image.frombytes("RGB", (width, height), noise).save(target, "JPEG", quality=95)
    return target.getvalue()


def video(*frames: bytes) -> dict:
    url = "data:video/jpeg;base64," + ",".join(base64.b64encode(one).decode() for one in frames)
    return {"type": "video_url", "video_url": {"url": url}}


def picture(data: bytes) -> dict:
    return {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(data).decode()}}


def body(*parts: dict, **values) -> dict:
    content = [*parts, {"type": "text", "text": "What?"}]
    values = {"temperature": 0, "max_tokens": 12, **values}
    return {"model": "model", "messages": [{"role": "user", "content": content}], **values}


def asked(*parts: dict, **values):
    return parse_chat_request(body(*parts, **values), "model")


@pytest.fixture(scope="module", params=["qwen2_vl", "qwen2_5_vl"])
def loaded(request, tiny_models, tmp_path_factory):
    from backends.hf_server.loading import load

    folder = tiny_models.make_qwen(tmp_path_factory.mktemp("models") / request.param, request.param)
    return load(Settings(model=str(folder), port=1, device="cpu", dtype="float32"), lambda _: None)


def text(loaded, request) -> str:
    from types import SimpleNamespace

    from backends.chat_server.completions import Delta, Finished
    from backends.hf_server.generation import run_batch

    events = []
    ticket = SimpleNamespace(
        request=request,
        arrived=0.0,
        prepare_s=0.0,
        cancelled=False,
        prepared=loaded.family.prepare(request),
        emit=events.append,
    )
    run_batch(loaded, [ticket])
    assert isinstance(events[-1], Finished), events
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_frames_go_in_pairs_and_an_odd_one_twice(loaded):
    import torch

    one = loaded.family.prepare(asked(picture(frame(1))))
    twice = loaded.family.prepare(asked(video(frame(1), frame(1))))
    alone = loaded.family.prepare(asked(video(frame(1))))
    three = loaded.family.prepare(asked(video(frame(1), frame(2), frame(3))))
    still = one.inputs["pixel_values"]
    assert torch.equal(twice.inputs["pixel_values_videos"], still), "a frame and itself is a picture"
    assert torch.equal(alone.inputs["pixel_values_videos"], still)
    assert three.inputs["video_grid_thw"].tolist() == [[2, *one.inputs["image_grid_thw"][0, 1:].tolist()]]
    assert three.image_tokens == 2 * one.image_tokens == int((three.inputs["mm_token_type_ids"] == 2).sum())
    # A patch is (channel, frame of the pair, row, column).
    shape = (len(still), 3, 2, 14, 14)
    pair = three.inputs["pixel_values_videos"][: len(still)].view(shape)
    second = loaded.family.prepare(asked(picture(frame(2)))).inputs["pixel_values"].view(shape)
    assert torch.equal(pair[:, :, 0], still.view(shape)[:, :, 0]) and torch.equal(pair[:, :, 1], second[:, :, 1])


def test_a_video_is_seen_frame_by_frame(loaded):
    frames = [frame(seed) for seed in (1, 2, 3, 4)]
    answers = {text(loaded, asked(video(*order))) for order in (frames, frames[::-1], frames[:2])}
    assert len(answers) == 3
    together = asked(picture(frame(9)), video(*frames), picture(frame(8)), media_io_kwargs={"video": {"fps": 2}})
    prepared = loaded.family.prepare(together)
    assert [clip for clip in together.messages[0].parts if isinstance(clip, Clip)] == [Clip((1, 2, 3, 4))]
    assert len(prepared.images) == 2 and prepared.inputs["video_grid_thw"][0, 0] == 2
    assert text(loaded, together) not in answers


def test_batches_with_and_without_videos(loaded):
    from backends.hf_server.generation import run_batch  # noqa: F401 - the same path as a batch takes

    requests = [asked(video(frame(1), frame(2))), asked(picture(frame(3))), asked()]
    prepared = [loaded.family.prepare(request) for request in requests]
    assert [loaded.family.batch_key(one) for one in prepared] == [None] * 3
    joined = loaded.family.collate(prepared)
    assert len(joined["input_ids"]) == 3 and len(joined["video_grid_thw"]) == len(joined["image_grid_thw"]) == 1


def test_what_is_refused(loaded, tiny_models, tmp_path):
    with pytest.raises(RequestError, match="differ in size"):
        loaded.family.prepare(asked(video(frame(1), frame(2, 56, 56))))
    with pytest.raises(RequestError, match="num_frames"):
        asked(video(frame(1)), media_io_kwargs={"video": {"num_frames": 4}})
    with pytest.raises(RequestError, match="broken base64"):
        asked({"type": "video_url", "video_url": {"url": "data:video/jpeg;base64,!!"}})
    with pytest.raises(RequestError, match="only frames within the request"):
        asked({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}})


def test_a_model_that_takes_no_video(tiny_models, tmp_path):
    from backends.hf_server.loading import load

    folder = tiny_models.make_llava(tmp_path / "llava")
    llava = load(Settings(model=str(folder), port=1, device="cpu", dtype="float32"), lambda _: None)
    with pytest.raises(RequestError, match=r"only for qwen2_vl, qwen2_5_vl.*video_as=pictures"):
        llava.family.prepare(asked(video(frame(1))))
