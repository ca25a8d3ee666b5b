"""Answers requests of families that don't generate tokens: one request at a time, with the whole text at once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backends.chat_server.completions import Delta, Failed, Finished, Timing
from backends.hf_server.families import DirectFamily
from backends.hf_server.generation import Waiting, as_request_error
from backends.hf_server.loaded import Loaded


def run_batch(loaded: Loaded, tickets: Sequence[Waiting]) -> None:
    """Answer requests one after the other. Each request gets its events, including errors."""
    family = loaded.family
    assert isinstance(family, DirectFamily)
    for ticket in tickets:
        if ticket.cancelled:
            continue
        started = time.perf_counter()
        try:
            answer = family.answer(loaded.model, ticket.prepared, ticket.request.sampling)
        except Exception as error:  # noqa: BLE001 - the server must survive a failing request
            ticket.emit(Failed(as_request_error(error, loaded, 1)))
            continue
        took = time.perf_counter() - started
        if answer.text:
            ticket.emit(Delta(answer.text, ()))
        prepared = ticket.prepared
        timing = Timing(started - ticket.arrived, ticket.prepare_s, took, 0.0)
        sizes = prepared.image_sizes
        ticket.emit(Finished("stop", prepared.prompt_tokens, answer.tokens, prepared.image_tokens, sizes, timing))
