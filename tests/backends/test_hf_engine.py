"""The real HF engine, on a committed demo model, from start to a violent end."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_backend import wait_until
from PIL import Image

from backends import registry
from backends.api import EngineSpec, Generation, GenerationRequest, ImagePart, Message, Pixels, Sampling, TextPart
from backends.client import Client
from backends.process.server import ServedEngine, start
from tests.patience import patient

CHECKPOINT = Path(__file__).parents[2] / "assets" / "demo_models" / "demo_s" / "bf16"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedEngine]:
    spec = EngineSpec("hf", str(CHECKPOINT), quant="fp32", args=(("device", "cpu"), ("threads", "1")))
    log_path = tmp_path_factory.mktemp("hf") / "engine.log"
    engine = start(registry.find("hf"), spec, log_path=log_path, timeout_s=patient(120))
    yield engine
    engine.close()


def ask(engine: ServedEngine, picture: bytes, *, logprobs: bool = False) -> Generation:
    parts = (ImagePart(picture, "image/png"), TextPart("Фамилия?"))
    sampling = Sampling(max_tokens=4, repetition_penalty=1.1, stop=("#",), seed=3)
    request = GenerationRequest("one", (Message("user", parts),), sampling, Pixels(3136, 50176), logprobs=logprobs)

    async def run() -> Generation:
        async with Client(engine.endpoint, timeout_s=patient(60)) as client:
            return await client.ask(request)

    return asyncio.run(run())


def blank() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (336, 112), "white").save(file, "PNG")
    return file.getvalue()


def test_the_hf_engine_takes_every_value_we_send_and_gives_its_account(engine: ServedEngine) -> None:
    mark = engine.mark()
    generation = ask(engine, blank())
    assert generation.error is None
    assert generation.text is not None
    assert generation.prompt_tokens is not None and generation.completion_tokens is not None
    assert generation.image_tokens == 48
    assert generation.image_sizes == ((336, 112),)
    assert generation.token_ids is not None and len(generation.token_ids) == generation.completion_tokens
    assert generation.timing is not None and generation.timing.prefill_s is not None
    stats = engine.since(mark)
    assert stats.weights_gib is not None and 0 < stats.weights_gib < 0.1
    assert stats.cpu_peak_gib is not None and 0.1 < stats.cpu_peak_gib < 3
    assert stats.needed_gib is None  # no GPU: nobody knows
    assert stats.facts["dtype"] == "float32"
    assert engine.load_s is not None and engine.load_s > 0


def test_the_hf_engine_tells_how_probable_each_token_of_the_text_was(engine: ServedEngine) -> None:
    without, given = ask(engine, blank()), ask(engine, blank(), logprobs=True)
    assert given.text == without.text and without.token_logprobs is None
    told = given.token_logprobs
    assert told is not None and not told.problem and given.text
    assert sum(told.lengths) == len(given.text) and len(told.lengths) == len(told.logprobs)
    assert all(-20 < logprob <= 0 for logprob in told.logprobs)


def test_one_bad_image_fails_alone(engine: ServedEngine) -> None:
    error = ask(engine, b"junk").error
    assert error is not None and error.kind == "bad_request" and not error.retryable
    assert engine.alive()


def test_kill_9_in_the_middle_is_a_failure_with_the_logs_last_lines(engine: ServedEngine) -> None:
    os.kill(engine.pid, signal.SIGKILL)
    error = ask(engine, blank()).error
    assert error is not None and error.kind == "connection" and error.retryable
    wait_until(lambda: not engine.alive(), 2)
    report = engine.crash_report()
    assert report.kind == "engine_died"
    for words in ("SIGKILL", "backends.hf_server --model", "listening on"):
        assert words in report.message
