"""The queue of the model: requests are prepared in a thread, grouped into batches, and answered by the model thread.

A batch starts when the model is idle, with the requests in the queue, because waiting for more would add latency. There
is one exception: the batcher waits, for at most a tenth of the last batch's time, for requests that are being prepared
and for clients that have just received an answer and will send their next request. Without it, four clients would be
served in batches of one, three, one, three, and so on.

This module doesn't import torch, so that the server can listen before torch is loaded.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from backends.chat_server.completions import Event, Failed, Finished
from backends.chat_server.errors import RequestError
from backends.chat_server.protocol import ChatRequest
from backends.hf_server import constraint
from backends.hf_server.families import DirectFamily, Family, Prepared

_WAIT_SHARE = 0.1  # the longest wait for further requests, as a share of the last batch's time


@dataclass
class Counts:
    """Numbers of requests, batches and tokens since the start of the server."""

    served: int = 0
    failed: int = 0
    cancelled: int = 0
    batches: int = 0
    batched_requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Ticket:
    """A request that the event loop passes to the model thread, which returns its events."""

    def __init__(self, request: ChatRequest, arrived: float, counts: Counts, on_end: Callable[[], None] | None = None):
        self.request = request
        self.arrived = arrived
        self.prepare_s = 0.0
        self.cancelled = False
        self.key: Hashable = None
        self._prepared: Prepared | None = None
        self._counts = counts
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    @property
    def prepared(self) -> Prepared:
        """The request as inputs of the model."""
        if self._prepared is None:
            raise RuntimeError("the request is not prepared yet")
        return self._prepared

    @property
    def prompt_ids(self) -> list[int] | None:
        """The prompt's token ids; None if the model takes no tokens."""
        return self.prepared.prompt_ids

    def ready(self, prepared: Prepared, key: Hashable, prepare_s: float) -> None:
        """Store the result of the preparation."""
        self._prepared, self.key, self.prepare_s = prepared, key, prepare_s

    def emit(self, event: Event) -> None:
        """Pass an event to the event loop. May be called from any thread."""
        if isinstance(event, Failed):
            self._counts.failed += 1
            self.end()
        elif isinstance(event, Finished):
            self.end()
            self._counts.served += 1
            self._counts.prompt_tokens += event.prompt_tokens
            self._counts.completion_tokens += event.completion_tokens or 0
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def next_event(self) -> Event:
        """Wait for the next event."""
        return await self._events.get()

    def cancel(self) -> None:
        """Cancel the request, because the client has gone."""
        if not self.cancelled:
            self.cancelled = True
            self._counts.cancelled += 1
            self.end()

    def end(self) -> None:
        """Mark the request as ended. May be called twice, and from any thread."""
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


@dataclass
class Batcher:
    """Prepares requests, queues them and groups them into batches."""

    batch_size: int
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        """Create the queue, and one thread for preparation: two would compete with the model thread for the GIL."""
        self._queue: list[Ticket] = []
        self._open = 0  # requests that are being prepared, in the queue, or being answered
        self._most_open = 0  # the maximum of `_open` since the last batch began
        self._changed = threading.Condition()
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")

    async def submit(self, request: ChatRequest, arrived: float, family: Family, context: int | None) -> Ticket:
        """Prepare a request and queue it. Raise RequestError if it can't be prepared or exceeds the context."""
        ticket = Ticket(request, arrived, self.counts, self._ended)
        with self._changed:
            self._open += 1
            self._most_open = max(self._most_open, self._open)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._preparing, _prepare, ticket, family, context)
        except BaseException as error:
            ticket.end()
            if isinstance(error, RequestError):
                self.counts.failed += 1
            raise
        with self._changed:
            self._queue.append(ticket)
            self._changed.notify()
        return ticket

    def serve(self, run: Callable[[Sequence[Ticket]], None]) -> None:
        """Answer batches forever, in the calling thread. `run` answers one batch."""
        expected, window_s, until = 0, 0.0, 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue))
                if self._queue[0].key is not None:
                    self._gather(expected, window_s, until)
                batch = take_batch(self._queue, self.batch_size)
                self._most_open = self._open
            if batch:
                self.counts.batches += 1
                self.counts.batched_requests += len(batch)
                began = time.monotonic()
                run(batch)
                window_s = _WAIT_SHARE * (time.monotonic() - began)
                until = time.monotonic() + window_s
                expected = min(self.batch_size, self._most_open)
                del batch  # otherwise its pictures and tensors stay in memory until the next request

    def _gather(self, expected: int, window_s: float, until: float) -> None:
        """Wait until `until` for `expected` requests and those being prepared. The caller holds the lock."""

        def complete() -> bool:
            return len(self._queue) >= min(self.batch_size, max(expected, self._open))

        now = time.monotonic()
        if self._open > len(self._queue):
            until = now + window_s
        self._changed.wait_for(complete, max(0.0, until - now))

    def _ended(self) -> None:
        with self._changed:
            self._open -= 1


def take_batch(queue: list[Ticket], size: int) -> list[Ticket]:
    """Remove the oldest request from `queue`, with up to `size - 1` later requests that can share its batch.

    Cancelled requests are dropped.
    """
    queue[:] = [ticket for ticket in queue if not ticket.cancelled]
    if not queue:
        return []
    key = queue[0].key
    batch = [queue[0]] if key is None else [ticket for ticket in queue if ticket.key == key][:size]
    for ticket in batch:
        queue.remove(ticket)
    return batch


def group_key(request: ChatRequest, family_key: Hashable) -> Hashable:
    """Return a key that must be equal for two requests to share a batch; None for a request that must run alone.

    All rows of a batch share one random generator. So a request with a seed is reproducible only if it runs alone.
    """
    sampling = request.sampling
    if sampling.temperature > 0 and sampling.seed is not None:
        return None
    same = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.repetition_penalty, sampling.max_tokens)
    return (*same, family_key)


def _prepare(ticket: Ticket, family: Family, context: int | None) -> None:
    started = time.perf_counter()
    if (schema := ticket.request.response_schema) is not None:
        if isinstance(family, DirectFamily):
            what = f"{family.name} gives whole answers, which can't be held to a schema"
            raise RequestError(what, code="unsupported_parameter", param="response_format")
        constraint.check(schema, family.tokenizer)
    if ticket.request.logprobs and isinstance(family, DirectFamily):
        what = f"{family.name} gives whole answers, and no probabilities of tokens"
        raise RequestError(what, code="unsupported_parameter", param="logprobs")
    try:
        prepared = family.prepare(ticket.request)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        raise RequestError(
            f"out of memory while the request was prepared: {error}. Lower max_pixels", status=507, code="out_of_memory"
        ) from error
    max_tokens = ticket.request.sampling.max_tokens
    if context is not None and prepared.prompt_tokens + max_tokens > context:
        raise RequestError(
            f"the prompt has {prepared.prompt_tokens} tokens ({prepared.image_tokens} of them of images) and "
            f"{max_tokens} are asked for; the model's context is {context} tokens. Lower "
            "max_pixels, max_tokens or the prompt",
            code="context_length_exceeded",
            param="messages",
        )
    key = group_key(ticket.request, family.batch_key(prepared))
    ticket.ready(prepared, key, time.perf_counter() - started)
