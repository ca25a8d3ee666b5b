"""One asynchronous, streaming client for OpenAI chat completions.

Whatever an endpoint does is returned as a `Generation`: a text, or a `Failure` in its place. The client never retries:
the caller knows its budget of retries.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import re
import ssl
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from backends import failures, wire
from backends.api import Endpoint, Failure, Generation, GenerationRequest, Timing, TokenLogprobs
from backends.events import MAX_ANSWER_BYTES, BadStream, EventStream, bad_response
from backends.rate_limit_headers import exhausted_for
from backends.redaction import redact
from backends.stream import Answer, count, seconds

_AIOHTTP_WARNS_ABOVE = 2**20  # bytes; aiohttp warns of larger bodies unless they are files that it reads in pieces
_ERROR_BODY_BYTES = 65_536
_CONNECT_TIMEOUT_S = 30.0
_DRAIN_TIMEOUT_S = 1.0
# The fields with which an event stream may begin, and what may precede them: white space and a byte order mark.
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")
_LONGEST_FIELD = max(map(len, _FIELDS))
_BLANK = b" \t\r\n\xef\xbb\xbf"


class Client:
    """Asks one endpoint over at most `max_connections` connections. `timeout_s` limits each request as a whole.

    It can be used only in the event loop in which it was entered:

        async with Client(engine.endpoint, max_connections=4) as client:
            generation = await client.ask(request)
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_s: float = 300.0,
        max_connections: int = 1,
        on_exhausted: Callable[[float], None] | None = None,
    ) -> None:
        """Prepare a client. Raise ValueError for an address that is no HTTP endpoint or contains a password.

        `on_exhausted` is told for how many seconds the endpoint grants nothing any more, as soon as the headers of an
        answer say so, which is before the answer's text.
        """
        address = URL(endpoint.url.rstrip("/"))
        if address.user or address.password:
            raise ValueError(f"endpoint at {address.host}: give the key as the endpoint's api_key, not in its address")
        if address.scheme not in ("http", "https") or not address.host:
            raise ValueError(f"endpoint {endpoint.url!r}: expected an address such as http://127.0.0.1:8000/v1")
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self._max_connections, self._on_exhausted = max_connections, on_exhausted
        # A query (Azure's api-version) must follow the path.
        self._url = (address.with_query(None) / "chat/completions").with_query(address.query)
        self._session: aiohttp.ClientSession | None = None
        self._form = endpoint  # how it is asked, after it has refused other forms
        self._streams = endpoint.stream  # False also after an endpoint has refused a stream and answered without one

    async def __aenter__(self) -> Self:
        """Open the session. Connections are opened when they are needed."""
        accepted = "text/event-stream" if self.endpoint.stream else "application/json"
        headers = {"Content-Type": "application/json", "Accept": accepted, **self.endpoint.headers}
        if self.endpoint.api_key:
            headers["Authorization"] = f"Bearer {self.endpoint.api_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections),
            timeout=aiohttp.ClientTimeout(total=self.timeout_s, sock_connect=min(_CONNECT_TIMEOUT_S, self.timeout_s)),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=_proxy(self._url),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, request: GenerationRequest) -> Generation:
        """Send a request once. No behaviour of the endpoint raises an exception: the result is a text or a failure."""
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with Client(...) as client`")
        if refused := wire.unsendable(request, self.endpoint):
            local = [name for name in refused if name in wire.LOCAL_SETTINGS]
            knows = "".join(f", or +model.request.{name}={name} if it knows it" for name in local)
            words = f"{', '.join(refused)} can't be sent to an OpenAI endpoint"
            message = f"{words}: leave the default, or dialect=local{knows}"
            return Generation(request.key, None, Failure("bad_request", message))
        if unread := wire.unread(request, self.endpoint):
            message = f"{', '.join(unread)}: the engine leaves out such pictures without a word; convert them to PNG"
            return Generation(request.key, None, Failure("bad_request", message))
        attempt, form = _Attempt(), self._form
        try:
            failure = await self._send(request, form, attempt)
            while failure is not None and (other := wire.adapted(failure, _status(failure), form)) is not None:
                form = other
                failure = await self._send(request, form, attempt)
            if failure is None:  # only an answer is proof that this was what it refused
                self._form = form
            else:
                failure = wire.with_remedy(failure, _status(failure), form)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            failure = self._explain(error)
        clock, answer = attempt.clock, attempt.answer
        clock.end()
        if failure is not None:
            return Generation(request.key, None, self._redact(failure), timing=clock.timing(answer, whole=False))
        return _generation(request, answer, clock, form, wire.adaptations(self.endpoint, form))

    async def _send(self, request: GenerationRequest, form: Endpoint, attempt: _Attempt) -> Failure | None:
        """Send a request in one form; where the endpoint refuses a stream, again without one."""
        attempt.begin()
        stream = self._streams
        failure = await self._exchange(wire.body(request, form, stream=stream), attempt.answer, attempt.clock)
        # Not self._streams, which another request may have changed since this one was sent.
        if stream and failure is not None and failures.refuses_streams(failure):
            attempt.begin()
            failure = await self._exchange(wire.body(request, form, stream=False), attempt.answer, attempt.clock)
            # A refusal that says "stream" may mean the picture's bytes: only an answer without a stream is proof.
            self._streams = self._streams and failure is not None
        return failure

    async def _exchange(self, body: bytes, answer: Answer, clock: _Clock) -> Failure | None:
        """Send `body` and read the stream into `answer`. Return the failure that the endpoint reports, if any."""
        assert self._session is not None
        data = body if len(body) <= _AIOHTTP_WARNS_ABOVE else io.BytesIO(body)
        async with self._session.post(self._url, data=data, allow_redirects=False) as response:
            if response.status != 200:
                return failures.from_status(response.status, response.headers, await _head(response))
            if self._on_exhausted is not None and (rest_s := exhausted_for(response.headers)) is not None:
                self._on_exhausted(rest_s)
            try:
                await _read(response, answer)
            except BadStream as error:
                return error.failure
            clock.end()
            await _drain(response.content)
        return answer.problem()

    def _explain(self, error: Exception) -> Failure:
        where = f"{self._url.host}:{self._url.port}"
        if isinstance(error, TimeoutError):  # checked first: aiohttp's time-outs are ClientErrors as well
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                return Failure("connection", f"no connection to {where} in time", retryable=True)
            return Failure("timeout", f"no whole answer from {where} within {self.timeout_s:g} s", retryable=True)
        if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
            return Failure("connection", f"{where}: TLS failed: {error}")
        if isinstance(error, aiohttp.ClientConnectorError):
            return Failure("connection", f"no connection to {where}: {error.strerror or error}", retryable=True)
        if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
            words = str(error) or type(error).__name__
            return Failure("connection", f"{where} hung up before the answer was complete: {words}", retryable=True)
        return Failure("bad_response", f"{where} does not speak HTTP as expected: {type(error).__name__}: {error}")

    def _redact(self, failure: Failure) -> Failure:
        """Remove the secrets from the message, because an endpoint may repeat them in its refusal."""
        message = failure.message
        for secret in (self.endpoint.api_key, *self.endpoint.headers.values()):
            if len(secret) >= 8:  # shorter ones are no secrets, and would blank out ordinary words
                message = message.replace(secret, "***")
        return Failure(failure.kind, redact(message), failure.retryable, failure.retry_after_s)


@dataclass(slots=True)
class _Clock:
    sent_at: float  # Unix time
    started: float  # time.perf_counter(), like `ended`
    ended: float | None = None

    def end(self) -> None:
        """Stop the clock. Later calls have no effect."""
        self.ended = self.ended or time.perf_counter()

    def timing(self, answer: Answer, *, whole: bool) -> Timing:
        """Return the times that the client and the engine measured. `whole`: the answer arrived completely."""
        first, ended = answer.first_text_at, self.ended or time.perf_counter()
        said = answer.first_answer_at if whole and first is not None else None
        # The latency of an incomplete answer is the time that was spent waiting for it.
        last = answer.last_choice_at if whole and answer.last_choice_at is not None else ended
        return Timing(
            sent_at=self.sent_at,
            latency_s=last - self.started,
            ttft_s=None if first is None else first - self.started,
            queue_s=seconds(answer.timing.get("queue_s")),
            prefill_s=seconds(answer.timing.get("prefill_s")),
            decode_s=seconds(answer.timing.get("decode_s")),
            tail_s=ended - last,
            tokens_after_first=answer.tokens_after_first if whole else None,
            answer_ttft_s=None if said is None else said - self.started,
        )


class _Attempt:
    """The clock and the answer of the last request that was sent for a question."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start anew."""
        self.clock, self.answer = _Clock(time.time(), time.perf_counter()), Answer()


def _status(failure: Failure) -> int:
    """Return the HTTP status that a failure begins with; 400 for a refusal that came in the middle of a stream."""
    status = re.match(r"HTTP (\d{3})\b", failure.message)
    return int(status[1]) if status else 400


def _generation(
    request: GenerationRequest, answer: Answer, clock: _Clock, form: Endpoint, adaptations: tuple[str, ...]
) -> Generation:
    return Generation(
        key=request.key,
        text=answer.text,
        error=None,
        timing=clock.timing(answer, whole=True),
        reasoning=answer.reasoning,
        finish_reason=answer.finish_reason,
        prompt_tokens=count(answer.usage.get("prompt_tokens")),
        completion_tokens=answer.completion_tokens,
        cached_tokens=answer.cached_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        token_ids=None if answer.token_ids is None else tuple(answer.token_ids),
        image_tokens=answer.image_tokens_or_count(form.image_token),
        image_sizes=answer.image_sizes,
        prompt_digest=answer.prompt_digest,
        served_model=answer.served_model,
        remarks=(*answer.remarks, *adaptations),
        token_logprobs=_logprobs(request, answer),
    )


def _logprobs(request: GenerationRequest, answer: Answer) -> TokenLogprobs | None:
    """Return the tokens of an answer's text; None where they were not asked for or not sent."""
    if not request.logprobs:
        return None  # some servers send them to everyone
    return answer.logprobs.of(answer.text, has_reasoning=answer.reasoning is not None, stop=request.sampling.stop)


async def _read(response: aiohttp.ClientResponse, answer: Answer) -> None:
    """Read a stream, or the reply in one piece that some servers send instead. The content type is not relied on."""
    content, beginning = response.content, b""
    while len(beginning.lstrip(_BLANK)) < _LONGEST_FIELD and not content.at_eof():
        beginning += await content.readany()
    start = beginning.lstrip(_BLANK)
    if not start.startswith(_FIELDS) and (start.startswith(b"{") or response.content_type != "text/event-stream"):
        answer.add_whole(await _whole(response, beginning))
        return
    stream = EventStream()
    chunk = beginning
    while chunk:
        for event in stream.feed(chunk):
            answer.add(event)
        if answer.done:
            return
        chunk = await content.readany()
    for event in stream.finish():
        answer.add(event)


async def _whole(response: aiohttp.ClientResponse, beginning: bytes) -> bytes:
    """Return a body that is no stream. Raise BadStream if it is no JSON object either."""
    body = bytearray(beginning)
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise bad_response(f"the reply exceeds {MAX_ANSWER_BYTES // 1_000_000} MB")
    if not body.lstrip(_BLANK).startswith(b"{"):
        _, words = failures.read_error(bytes(body[:_ERROR_BODY_BYTES]))
        raise bad_response(f"expected a text/event-stream, got {response.content_type}: {words}")
    return bytes(body).removeprefix(b"\xef\xbb\xbf")


async def _drain(content: aiohttp.StreamReader) -> None:
    """Read the few bytes after [DONE], so that the connection can be reused. Stop after a second."""
    try:
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            async for _ in content.iter_any():
                pass
    except (TimeoutError, aiohttp.ClientError, OSError):
        return  # the answer is complete, so the rest is irrelevant; aiohttp closes the connection


async def _head(response: aiohttp.ClientResponse) -> bytes:
    """Return the beginning of a body that explains a refusal, even if the connection breaks before its end."""
    received = bytearray()
    try:
        async for chunk in response.content.iter_any():
            received += chunk
            if len(received) >= _ERROR_BODY_BYTES:
                break
    except (aiohttp.ClientError, ConnectionError):
        pass
    return bytes(received[:_ERROR_BODY_BYTES])


def _proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for an address; None for this machine itself.

    aiohttp's `trust_env` is not used, because it also reads ~/.netrc, which would override the endpoint's own key.
    """
    host = url.host or ""
    try:
        if ipaddress.ip_address(host).is_loopback:
            return None
    except ValueError:
        if host == "localhost":
            return None
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(url.scheme)
