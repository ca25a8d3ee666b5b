"""Answers of families that don't draw tokens one by one: each request by itself, its text whole."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backends.chat_server.completions import Delta, Failed, Finished, Timing
from backends.hf_server.families import DirectFamily
from backends.hf_server.generation import Waiting, as_request_error
from backends.hf_server.loaded import Loaded


def run_batch(loaded: Loaded, tickets: Sequence[Waiting]) -> None:
    """Answer requests one after the other. Every one gets its events, errors included."""
    family = loaded.family
    assert isinstance(family, DirectFamily)
    for ticket in tickets:
        if ticket.cancelled:
            continue
        started = time.perf_counter()
        try:
            found = family.answer(loaded.model, ticket.prepared, ticket.request.sampling)
        except Exception as error:  # noqa: BLE001 - the server outlives a request that fails
            ticket.emit(Failed(as_request_error(error, loaded, 1)))
            continue
        took = time.perf_counter() - started
        if found.text:
            ticket.emit(Delta(found.text, ()))
        prepared = ticket.prepared
        timing = Timing(started - ticket.arrived, ticket.prepare_s, took, 0.0)
        sizes = prepared.image_sizes
        ticket.emit(Finished("stop", prepared.prompt_tokens, found.tokens, prepared.image_tokens, sizes, timing))
