"""Answers chat completions with the text that an OCR program reads on their pictures."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.chat_server.completions import Delta, Event, Failed, Finished, Timing
from backends.chat_server.errors import RequestError
from backends.chat_server.http import ChatServer
from backends.chat_server.images import decode_image
from backends.chat_server.protocol import ChatRequest, Clip
from backends.ocr_engines import OcrFailed, Reader
from backends.ocr_server.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass
class Counts:
    """Numbers of requests since the start of the server."""

    served: int = 0
    failed: int = 0
    cancelled: int = 0


class Reading:
    """A request whose pictures are being read in a thread, or are waiting for it."""

    prompt_ids = None

    def __init__(self, reading: asyncio.Future[list[Event]], counts: Counts) -> None:
        self._reading, self._counts = reading, counts
        self._events: deque[Event] = deque()

    async def next_event(self) -> Event:
        """Wait for the text. Return the text first, and then the end of the answer."""
        if not self._events:
            self._events.extend(await self._reading)
        return self._events.popleft()

    def cancel(self) -> None:
        """Cancel the request. A picture that is being read is read to its end, and the text discarded."""
        self._counts.cancelled += 1
        self._reading.cancel()


class Server(ChatServer):
    """Serves one OCR program with one group of settings."""

    owner = "ocr"

    def __init__(self, settings: Settings) -> None:
        """Create a server that refuses requests until `ready` is called."""
        super().__init__(settings.served_model_name, settings.api_key)
        self.settings, self.counts = settings, Counts()
        self._reader: Reader | None = None
        self._facts: Mapping[str, str] = {}
        self._workers = ThreadPoolExecutor(settings.workers, thread_name_prefix="read")

    def ready(self, reader: Reader) -> None:
        """Answer requests from now on."""
        self._facts, self._reader = reader.facts(), reader

    @property
    def is_ready(self) -> bool:
        """Whether the OCR program is loaded."""
        return self._reader is not None

    async def submit(self, request: ChatRequest, arrived: float) -> Reading:
        """Read the pictures of a request. Raise RequestError for a request without pictures, or with a video."""
        if any(isinstance(part, Clip) for message in request.messages for part in message.parts):
            raise RequestError("an OCR program reads pictures, and no videos", param="messages")
        if not request.images:
            raise RequestError("an OCR program needs the picture of a page to read", param="messages")
        if self.settings.boxes != "none" and len(request.images) > 1:
            raise RequestError("boxes are of one page: an OCR program with boxes reads one picture", param="messages")
        if request.response_schema is not None:
            raise RequestError("an OCR program can't be held to a schema", code="unsupported_parameter")
        if request.logprobs:
            raise RequestError("an OCR program has no probabilities of tokens", code="unsupported_parameter")
        if request.pixels.min_pixels or request.pixels.max_pixels:
            raise RequestError("an OCR program reads pictures as they are", code="unsupported_parameter")
        reading = asyncio.get_running_loop().run_in_executor(self._workers, self._read, request, arrived)
        return Reading(reading, self.counts)

    def card(self) -> dict[str, Any]:
        """Return the program's name."""
        return {"root": self.settings.engine, "max_model_len": None}

    def account(self) -> dict[str, Any]:
        """Return the program with its settings, and the numbers of requests."""
        settings, counts = self.settings, self.counts
        facts: dict[str, Any] = {"engine": settings.engine, "batch_size": settings.workers, "facts": dict(self._facts)}
        if settings.engine == "tesseract":
            facts |= {"languages": settings.languages, "psm": settings.psm}
        if settings.boxes != "none":
            facts["boxes"] = settings.boxes
        return facts | {
            "requests": {"served": counts.served, "failed": counts.failed, "cancelled": counts.cancelled},
        }

    def reset(self) -> None:
        """Do nothing, because the program has no peaks to reset."""

    def _read(self, request: ChatRequest, arrived: float) -> list[Event]:
        """Read the pictures of a request, and separate pages by empty lines. Runs in a worker's thread."""
        started = time.perf_counter()
        try:
            pictures = [decode_image(data, number) for number, data in enumerate(request.images, start=1)]
            decoded = time.perf_counter()
            text = "\n\n".join(page for page in map(self._page, pictures) if page)
        except RequestError as error:
            self.counts.failed += 1
            return [Failed(error)]
        except OcrFailed as error:
            self.counts.failed += 1
            return [Failed(RequestError(f"OCR failed: {error}", code="bad_image"))]
        ended = time.perf_counter()
        self.counts.served += 1
        timing = Timing(started - arrived, decoded - started, ended - started, 0.0)
        sizes = tuple((picture.width, picture.height) for picture in pictures)
        # An OCR program generates no tokens and reads no prompt, so the numbers of tokens are unknown.
        end = Finished("stop", 0, None, 0, sizes, timing)
        return [Delta(text, ()), end] if text else [end]

    def _page(self, picture: Image) -> str:
        """Return the text of a page, or the JSON of what was read where, one text a line: `[{"bbox", "text"}]`."""
        assert self._reader is not None
        if self.settings.boxes == "none":
            return self._reader.read(picture)
        placed = self._reader.places(picture, self.settings.boxes)
        lines = (json.dumps({"bbox": list(one.box), "text": one.text}, ensure_ascii=False) for one in placed)
        return "[" + ",\n".join(lines) + "]"
