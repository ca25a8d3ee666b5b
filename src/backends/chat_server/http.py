"""The HTTP endpoints of our own servers: health, models, chat completions, statistics."""

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

# Enough for a dozen scans at full resolution in base64. aiohttp's default of 1 MiB would refuse a single scan.
LARGEST_BODY = 256 * 1024**2


class Ticket(Protocol):
    """A request that the server has accepted."""

    @property
    def prompt_ids(self) -> list[int] | None:
        """The prompt's token ids, including those of images; None if the model takes no tokens."""
        ...

    async def next_event(self) -> Event:
        """Wait for the next event: pieces of the answer, then its end."""
        ...

    def cancel(self) -> None:
        """Cancel the request, because the client has gone."""
        ...


class ChatServer(ABC):
    """The base of a server: its endpoints, and its state while the model is loaded."""

    owner: str  # the name of the server in the list of models

    def __init__(self, model: str, api_key: str):
        """Serve under the name `model`. Requests need the key; an empty key allows all requests."""
        self._model_name, self._api_key = model, api_key
        self.detail = "starting"
        self.error: str | None = None
        self._created = int(time.time())

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Whether requests can be answered."""

    @abstractmethod
    async def submit(self, request: ChatRequest, arrived: float) -> Ticket:
        """Accept a request that arrived at `arrived` (`time.perf_counter`). Raise RequestError if it is not valid."""

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """Return further fields of the list of models: the origin of the model and its context length."""

    @abstractmethod
    def account(self) -> dict[str, Any]:
        """Return the server's statistics, for /statistics."""

    @abstractmethod
    def reset(self) -> None:
        """Reset the peaks of memory. The counts of requests and tokens are not reset."""

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
        """Answer 200 when ready, 503 with the current step while loading, and 500 after loading has failed."""
        if self.error is not None:
            return web.json_response({"status": "failed", "error": self.error}, status=500)
        if not self.is_ready:
            return web.json_response({"status": "loading", "detail": self.detail}, status=503)
        return web.json_response({"status": "ready"})

    async def models(self, _: web.Request) -> web.Response:
        """List the one model that is served."""
        self._refuse_until_ready()
        card = {"id": self._model_name, "object": "model", "created": self._created, "owned_by": self.owner}
        return web.json_response({"object": "list", "data": [{**card, **self.card()}]})

    async def statistics(self, _: web.Request) -> web.Response:
        """Return the server's statistics."""
        self._refuse_until_ready()
        return web.json_response(self.account())

    async def reset_statistics(self, request: web.Request) -> web.Response:
        """Reset the peaks of memory, and return the statistics."""
        self._refuse_until_ready()
        self.reset()
        return await self.statistics(request)

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat completion, streamed or in one piece."""
        self._refuse_until_ready()
        body = await request.read()
        arrived = time.perf_counter()
        try:
            values = json.loads(body)
        except ValueError as error:  # bad JSON, or bad UTF-8
            raise RequestError(f"the body is not JSON: {error}") from error
        chat_request = parse_chat_request(values, self._model_name)
        ticket = await self.submit(chat_request, arrived)
        completion = Completion(chat_request, self._model_name)
        completion.tell_prompt(ticket.prompt_ids)
        finished = False
        try:
            # aiohttp cancels this handler when the client disconnects; then the request is cancelled below.
            answer = await (_stream(request, ticket, completion) if chat_request.stream else _whole(ticket, completion))
            finished = True
        except RequestError:
            finished = True
            raise
        finally:
            if not finished:
                ticket.cancel()
        return answer

    def _refuse_until_ready(self) -> None:
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
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(key.encode(), self._api_key.encode()):
            raise RequestError("missing or wrong API key", status=401, code="invalid_api_key")


async def _stream(request: web.Request, ticket: Ticket, completion: Completion) -> web.StreamResponse:
    # The status line is sent after the first event, so that a failure before it gets its own HTTP status.
    event = await ticket.next_event()
    if isinstance(event, Failed):
        raise event.error
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    first = True
    rest = Delta("", ())  # tokens without text at the end, such as the end-of-turn token
    while isinstance(event, Delta):
        if event.text or event.reasoning:
            await response.write(completion.chunk(event, first=first))
            first = False
        else:
            rest = event
        event = await ticket.next_event()
    last = completion.failure(event.error) if isinstance(event, Failed) else completion.end(event, rest)
    await response.write(b"".join(last))
    await response.write_eof()
    return response


async def _whole(ticket: Ticket, completion: Completion) -> web.Response:
    pieces: list[Delta] = []
    while isinstance(event := await ticket.next_event(), Delta):
        pieces.append(event)
    if isinstance(event, Failed):
        raise event.error
    assert isinstance(event, Finished)
    answer = Delta(
        text="".join(piece.text for piece in pieces),
        token_ids=tuple(token for piece in pieces for token in piece.token_ids),
        reasoning="".join(piece.reasoning for piece in pieces),
        logprobs=tuple(token for piece in pieces for token in piece.logprobs),
    )
    body = completion.whole(answer, event)
    dumped = json.dumps(body, ensure_ascii=False)
    return web.Response(text=dumped, content_type="application/json")
