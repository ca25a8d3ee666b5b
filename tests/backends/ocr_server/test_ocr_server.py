"""The OCR engine: its protocol with a reader of our own, and real tesseract from start to end."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image, ImageDraw, ImageFont

from backends import registry
from backends.api import EngineSpec, GenerationRequest, ImagePart, Message, TextPart
from backends.client import Client
from backends.ocr_engines import OcrFailed, Placed, tesseract, within
from backends.ocr_server.server import Server
from backends.ocr_server.settings import parse_settings
from backends.process.server import start

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed: apt install tesseract-ocr tesseract-ocr-rus"
)


def png(*lines: str, size: tuple[int, int] = (700, 160)) -> bytes:
    picture = Image.new("RGB", size, "white")
    font = ImageFont.truetype("DejaVuSans.ttf", 36) if lines and not lines[0].isascii() else ImageFont.load_default(36)
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((20, 20 + 60 * number), line, "black", font=font)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


class Sizes:
    """Reads of a picture how wide it is; can't read the widest, and finds nothing on the narrowest."""

    def read(self, picture: Image.Image) -> str:
        if picture.width > 1000:
            raise OcrFailed("Image too large")
        return f"{picture.width}\nwide" if picture.width > 10 else ""

    def places(self, picture: Image.Image, unit: str) -> Sequence[Placed]:
        if picture.width > 1000:
            raise OcrFailed("Image too large")
        found = [Placed('шир"ина', (0, 0, picture.width, 5)), Placed(unit, (0, 5, picture.width, 20))]
        return found if picture.width > 10 else []

    def facts(self) -> Mapping[str, str]:
        return {"version.sizes": "1"}


def url(data: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"}}


def body(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked = {"type": "text", "text": "Which surname?"}
    return {"model": "model", "messages": [{"role": "user", "content": [*parts, asked]}], **more}


def asked(*bodies: dict[str, Any], boxes: str = "none") -> list[tuple[int, Any]]:
    async def run() -> list[tuple[int, Any]]:
        server = Server(parse_settings(["--engine", "tesseract", "--port", "1", "--boxes", boxes]))
        async with TestClient(TestServer(server.app())) as client:
            assert (await client.get("/health")).status == 503
            server.ready(Sizes())
            assert (await client.get("/health")).status == 200
            found = []
            for one in bodies:
                response = await client.post("/v1/chat/completions", json=one)
                found.append((response.status, await response.json()))
            account = await (await client.get("/statistics")).json()
            assert account["facts"] == {"version.sizes": "1"}
            return [*found, (200, account["requests"])]

    return asyncio.run(run())


def test_a_page_is_read_whatever_is_asked():
    (status, whole), (_, pages), (_, empty), (_, counts) = asked(
        body(url(png(size=(30, 20)))),
        body(url(png(size=(30, 20))), url(png(size=(5, 5))), url(png(size=(40, 20)))),
        body(url(png(size=(5, 5))), temperature=0.7, seed=3, max_tokens=1),
    )
    assert status == 200
    choice = whole["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("30\nwide", "stop")
    assert whole["usage"] == {}, "it draws no tokens, and their number is not 0"
    assert whole["images"] == [{"width": 30, "height": 20}]
    assert pages["choices"][0]["message"]["content"] == "30\nwide\n\n40\nwide"
    assert empty["choices"][0]["message"]["content"] == "", "a page without text is an answer"
    assert counts == {"served": 3, "failed": 0, "cancelled": 0}


def test_what_can_not_be_read_is_refused_and_is_no_empty_answer():
    video = {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{base64.b64encode(b'x').decode()}"}}
    *refused, (_, counts) = asked(
        body(),
        body(video),
        body(url(png(size=(30, 20))), mm_processor_kwargs={"max_pixels": 100}),
        body(url(png(size=(30, 20))), logprobs=True),
        body(url(b"no picture")),
        body(url(png(size=(1200, 20)))),
        body(url(png(size=(30, 20))), stream=True) | {"model": "other"},
    )
    words = [answer["error"]["message"] for _, answer in refused]
    assert all(status >= 400 for status, _ in refused)
    for said, expected in zip(
        words,
        (
            "needs the picture",
            "no videos",
            "as they are",
            "no probabilities of tokens",
            "can't be decoded",
            "Image too large",
            "other",
        ),
        strict=True,
    ):
        assert expected in said
    assert counts["served"] == 0 and counts["failed"] == 2


def test_with_boxes_the_answer_is_json_and_of_one_page():
    (_, whole), (_, empty), (status, several), (failed, large), _ = asked(
        body(url(png(size=(30, 20)))),
        body(url(png(size=(5, 5)))),
        body(url(png(size=(30, 20))), url(png(size=(30, 20)))),
        body(url(png(size=(1200, 20)))),
        boxes="lines",
    )
    text = whole["choices"][0]["message"]["content"]
    assert "\n" in text and "шир" in text, "a line for each, in letters"
    assert json.loads(text) == [{"bbox": [0, 0, 30, 5], "text": 'шир"ина'}, {"bbox": [0, 5, 30, 20], "text": "lines"}]
    assert empty["choices"][0]["message"]["content"] == "[]", "a page without text is an answer"
    assert status == 400 and "reads one picture" in several["error"]["message"], "whose boxes would be on which page?"
    assert failed >= 400 and "Image too large" in large["error"]["message"]


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((1.2, 2.9, 10.1, 20.0), (1, 2, 11, 20)),
        ((-3.5, -1, 250.2, 101), (0, 0, 200, 100)),
        ((50, 50, 50, 50), (50, 50, 51, 51)),
        ((200, 100, 200, 100), (199, 99, 200, 100)),
        ((90, 40, 60, 30), (90, 40, 91, 41)),
    ],
)
def test_a_box_has_an_area_and_is_within_the_picture(box: tuple[float, ...], pixels: tuple[int, ...]):
    assert within(box, 200, 100) == pixels


@needs_tesseract
def test_tesseract_says_where_lines_and_words_are():
    picture = Image.open(io.BytesIO(png("Фамилия Федорко", "Сумма 1234,50")))
    lines, words = (tesseract.Tesseract("rus+eng").places(picture, unit) for unit in ("lines", "words"))
    assert [line.text for line in lines] == ["Фамилия Федорко", "Сумма 1234,50"]
    assert [word.text for word in words] == ["Фамилия", "Федорко", "Сумма", "1234,50"]
    for number, text in enumerate(("Фамилия Федорко", "Сумма 1234,50")):
        font = ImageFont.truetype("DejaVuSans.ttf", 36)
        ink = ImageDraw.Draw(picture).textbbox((20, 20 + 60 * number), text, font=font)
        assert all(abs(ours - printed) <= 6 for ours, printed in zip(lines[number].box, ink, strict=True))
    assert words[0].box[2] <= words[1].box[0] and words[0].box[3] <= words[2].box[1]
    assert tesseract.Tesseract("rus+eng").places(Image.new("RGB", (300, 100), "white"), "lines") == []


@needs_tesseract
def test_tesseract_reads_russian_and_is_measured(tmp_path: Path):
    args = (("engine_args.engine", "tesseract"), ("engine_args.languages", "rus+eng"), ("threads", "1"))
    spec = EngineSpec("ocr", "tesseract", args=args)
    engine = start(registry.find("ocr"), spec, log_path=tmp_path / "engine.log", timeout_s=120)
    try:
        mark = engine.mark()
        parts = (ImagePart(png("Фамилия Федорко", "Сумма 1234,50"), "image/png"), TextPart("Фамилия?"))

        async def run():
            async with Client(engine.endpoint, timeout_s=120) as client:
                return await client.ask(GenerationRequest("one", (Message("user", parts),)))

        generation = asyncio.run(run())
        stats = engine.since(mark)
    finally:
        engine.close()
    assert generation.error is None
    assert generation.text.split() == ["Фамилия", "Федорко", "Сумма", "1234,50"]
    assert generation.finish_reason == "stop" and generation.completion_tokens is None
    assert generation.image_sizes == ((700, 160),)
    assert generation.timing.latency_s > 0 and generation.timing.prefill_s > 0
    assert stats.cpu_peak_gib is not None and stats.cpu_peak_gib > 0
    assert stats.facts["engine"] == "tesseract" and stats.facts["version.tesseract"]
    assert len(stats.facts["data.rus"]) == 16, "the digest of the language's file"


@needs_tesseract
def test_a_language_that_is_missing_ends_the_engine_with_the_reason(tmp_path: Path):
    from backends.api import EngineFailed

    spec = EngineSpec("ocr", "x", args=(("engine_args.engine", "tesseract"), ("engine_args.languages", "rus+xyz")))
    with pytest.raises(EngineFailed, match=r"no language xyz here.*apt install tesseract-ocr-xyz"):
        start(registry.find("ocr"), spec, log_path=tmp_path / "engine.log", timeout_s=120)
