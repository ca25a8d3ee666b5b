"""The HTTP side of our own servers: health, models, chat completions, statistics."""

from __future__ import annotations

import hmac
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web

from backends.chat_server.completions import Completion, Delta, Event, Failed, Finished
from backends.chat_server.errors import RequestError
from backends.chat_server.protocol import ChatRequest, parse_chat_request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A dozen scans at full resolution in base64; aiohttp's own limit of 1 MiB refuses a single one.
LARGEST_BODY = 256 * 1024**2


class Ticket(Protocol):
    """A request on its way through a server."""

    @property
    def prompt_ids(self) -> list[int] | None:
        """The prompt's tokens, those of images included; None where the model takes no tokens."""
        ...

    async def next_event(self) -> Event:
        """Wait for the next event: pieces of the answer, then its end."""
        ...

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        ...


class ChatServer(ABC):
    """What the endpoints share: whether the model is there yet, and the way to it."""

    owner: str  # who serves the model, for the list of models

    def __init__(self, model: str, api_key: str):
        """Serve under the name `model` to who knows the key; an empty key lets everybody in."""
        self._model_name, self._api_key = model, api_key
        self.detail = "starting"
        self.error: str | None = None
        self._created = int(time.time())

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Whether requests can be answered."""

    @abstractmethod
    async def submit(self, asked: ChatRequest, arrived: float) -> Ticket:
        """Take a request that came in at `arrived` (`time.perf_counter`). Raise RequestError for one that can't be."""

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """Return what the list of models says besides: where the model comes from, its context."""

    @abstractmethod
    def account(self) -> dict[str, Any]:
        """Return the server's own account, for /statistics."""

    @abstractmethod
    def reset(self) -> None:
        """Let the peaks of memory count from now. Counts of requests and tokens go on."""

    def app(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._answer_errors])
        app.router.add_get("/health", self.health)
        app.router.add_get("/v1/models", self.models)
        app.router.add_post("/v1/chat/completions", self.chat_completions)
        app.router.add_get("/statistics", self.statistics)
        app.router.add_post("/statistics/reset", self.reset_statistics)
        return app

    async def health(self, _: web.Request) -> web.Response:
        """Answer 200 when ready, 503 with what is being done while loading, 500 when loading failed."""
        if self.error is not None:
            return web.json_response({"status": "failed", "error": self.error}, status=500)
        if not self.is_ready:
            return web.json_response({"status": "loading", "detail": self.detail}, status=503)
        return web.json_response({"status": "ready"})

    async def models(self, _: web.Request) -> web.Response:
        """List the one model that is served."""
        self._wait_for_model()
        card = {"id": self._model_name, "object": "model", "created": self._created, "owned_by": self.owner}
        return web.json_response({"object": "list", "data": [{**card, **self.card()}]})

    async def statistics(self, _: web.Request) -> web.Response:
        """Give the server's own account."""
        self._wait_for_model()
        return web.json_response(self.account())

    async def reset_statistics(self, request: web.Request) -> web.Response:
        """Let the peaks of memory count from now."""
        self._wait_for_model()
        self.reset()
        return await self.statistics(request)

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat completion, streamed or whole."""
        self._wait_for_model()
        body = await request.read()
        arrived = time.perf_counter()
        try:
            values = json.loads(body)
        except ValueError as error:  # bad JSON, or bad UTF-8
            raise RequestError(f"the body is not JSON: {error}") from error
        asked = parse_chat_request(values, self._model_name)
        ticket = await self.submit(asked, arrived)
        completion = Completion(asked, self._model_name)
        completion.tell_prompt(ticket.prompt_ids)
        finished = False
        try:
            # aiohttp cancels this handler when the client hangs up; then nobody waits for the answer.
            answer = await (_stream(request, ticket, completion) if asked.stream else _whole(ticket, completion))
            finished = True
        except RequestError:
            finished = True
            raise
        finally:
            if not finished:
                ticket.cancel()
        return answer

    def _wait_for_model(self) -> None:
        if not self.is_ready:
            raise RequestError(f"the model is not loaded yet: {self.detail}", status=503, code="not_ready")

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._authorise(request)
            return await handler(request)
        except RequestError as error:
            return web.json_response(error.body(), status=error.status)
        except web.HTTPException as error:
            refused = RequestError(f"{request.method} {request.path}: {error.reason}", status=error.status)
            return web.json_response(refused.body(), status=error.status)

    def _authorise(self, request: web.Request) -> None:
        if not self._api_key or request.path == "/health":
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise RequestError("missing or wrong API key", status=401, code="invalid_api_key")


async def _stream(request: web.Request, ticket: Ticket, completion: Completion) -> web.StreamResponse:
    # The status line waits for the first event, so that what fails before it still fails with a status of its own.
    event = await ticket.next_event()
    if isinstance(event, Failed):
        raise event.error
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    first = True
    rest: tuple[int, ...] = ()  # tokens without text at the end, such as the one that ends the answer
    while isinstance(event, Delta):
        if event.text or event.reasoning:
            await response.write(completion.chunk(event, first=first))
            first = False
        else:
            rest = event.token_ids
        event = await ticket.next_event()
    last = completion.failure(event.error) if isinstance(event, Failed) else completion.end(event, rest)
    await response.write(b"".join(last))
    await response.write_eof()
    return response


async def _whole(ticket: Ticket, completion: Completion) -> web.Response:
    texts: list[str] = []
    thoughts: list[str] = []
    tokens: list[int] = []
    while isinstance(event := await ticket.next_event(), Delta):
        texts.append(event.text)
        thoughts.append(event.reasoning)
        tokens.extend(event.token_ids)
    if isinstance(event, Failed):
        raise event.error
    assert isinstance(event, Finished)
    body = completion.whole("".join(texts), "".join(thoughts), tuple(tokens), event)
    dumped = json.dumps(body, ensure_ascii=False)
    return web.Response(text=dumped, content_type="application/json")
