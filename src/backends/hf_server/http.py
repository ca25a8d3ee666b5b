"""The HTTP side: health, models, chat completions, statistics. Imports no torch, so that it answers at once."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from backends.hf_server.batcher import Batcher, Ticket
from backends.hf_server.completions import Completion, Delta, Failed, Finished
from backends.hf_server.errors import RequestError
from backends.hf_server.protocol import parse_chat_request
from backends.hf_server.settings import Settings

if TYPE_CHECKING:
    from backends.hf_server.loaded import Loaded

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# A dozen scans at full resolution in base64; aiohttp's own limit of 1 MiB refuses a single one.
LARGEST_BODY = 256 * 1024**2


class Server:
    """What the endpoints share: whether the model is there yet, and the way to it."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.batcher = Batcher(settings.batch_size)
        self.detail = "starting"
        self.error: str | None = None
        self.loaded: Loaded | None = None
        self._facts: dict[str, Any] = {}
        self._created = int(time.time())

    def ready(self, loaded: Loaded, facts: dict[str, Any]) -> None:
        """Answer requests from now on. `facts` open the statistics."""
        self._facts, self.loaded = facts, loaded

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
        if self.loaded is None:
            return web.json_response({"status": "loading", "detail": self.detail}, status=503)
        return web.json_response({"status": "ready"})

    async def models(self, _: web.Request) -> web.Response:
        """List the one model that is served."""
        loaded = self._model()
        card = {
            "id": self.settings.served_model_name,
            "object": "model",
            "created": self._created,
            "owned_by": "hf",
            "root": self.settings.model,
            "max_model_len": loaded.context_tokens,
        }
        return web.json_response({"object": "list", "data": [card]})

    async def statistics(self, _: web.Request) -> web.Response:
        """Give the server's own account."""
        from backends.hf_server.statistics import running_facts

        loaded = self._model()
        return web.json_response({**self._facts, **running_facts(loaded, self.batcher.counts)})

    async def reset_statistics(self, request: web.Request) -> web.Response:
        """Let the peaks of memory count from now. Counts of requests and tokens go on."""
        from backends.hf_server.statistics import reset_peaks

        reset_peaks(self._model())
        return await self.statistics(request)

    async def chat_completions(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat completion, streamed or whole."""
        loaded = self._model()
        body = await request.read()
        arrived = time.perf_counter()
        try:
            values = json.loads(body)
        except ValueError as error:  # bad JSON, or bad UTF-8
            raise RequestError(f"the body is not JSON: {error}") from error
        asked = parse_chat_request(values, self.settings.served_model_name)
        ticket = await self.batcher.submit(asked, arrived, loaded.family, loaded.context_tokens)
        completion = Completion(asked, self.settings.served_model_name)
        completion.tell_prompt(ticket.prepared.prompt_ids)
        finished = False
        try:
            # aiohttp cancels this handler when the client hangs up; then nobody waits for the row.
            answer = await (_stream(request, ticket, completion) if asked.stream else _whole(ticket, completion))
            finished = True
        except RequestError:
            finished = True
            raise
        finally:
            if not finished:
                ticket.cancel()
        return answer

    def _model(self) -> Loaded:
        if self.loaded is None:
            raise RequestError(f"the model is not loaded yet: {self.detail}", status=503, code="not_ready")
        return self.loaded

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
        key = self.settings.api_key
        if not key or request.path == "/health":
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), key.encode()):
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
