"""Runs a batch through `generate`. Tokens are read as they are generated, and each row ends by its own conditions."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
)

from backends.chat_server.completions import Delta, Event, Failed, Finished, Timing, TokenLogprob
from backends.chat_server.errors import RequestError
from backends.chat_server.protocol import ChatRequest, Sampling
from backends.hf_server.constraint import Constraint
from backends.hf_server.families import Prepared
from backends.hf_server.loaded import Loaded
from backends.hf_server.logprobs import ChosenLogprobs
from backends.hf_server.reasoning import ReasoningSplit
from backends.hf_server.text_stream import TextStream

logger = logging.getLogger(__name__)


class Waiting(Protocol):
    """A request that waits for its answer. Times are `time.perf_counter()`."""

    request: ChatRequest
    arrived: float
    prepare_s: float
    cancelled: bool

    @property
    def prepared(self) -> Prepared:
        """The request as inputs of the model."""
        ...

    def emit(self, event: Event) -> None:
        """Send an event to the client. May be called from any thread."""


class Row:
    """One answer of a batch while it is generated."""

    def __init__(self, ticket: Waiting, loaded: Loaded, started: float):
        self.ticket = ticket
        self.done = False
        self._eos = frozenset(loaded.eos_ids)
        self._started = started
        self._first_token_at: float | None = None
        tokenizer = loaded.family.tokenizer
        self._text = TextStream(lambda ids: _decode(tokenizer, ids), ticket.request.stop)
        self._reasoning = ReasoningSplit(ticket.prepared.prompt)
        self._tokens = 0
        self._unsent: list[int] = []
        self._unsent_logprobs: list[TokenLogprob] = []

    @property
    def began(self) -> bool:
        """Whether a token was generated, so that the request can't be repeated."""
        return self._tokens > 0

    def add(self, token: int, now: float, logprob: float | None = None) -> None:
        """Add the next token, which was generated at `now`, with its log-probability if the request asks for it."""
        if self._first_token_at is None:
            self._first_token_at = now
        self._tokens += 1
        self._unsent.append(token)
        if token in self._eos:
            self._tell(logprob, "")
            self.finish("stop", now)
            return
        text = self._text.feed(token)
        self._tell(logprob, self._text.grown)
        self._send(text)
        if self._text.stopped:
            self.finish("stop", now)
        elif self._tokens >= self.ticket.request.sampling.max_tokens:
            self.finish("length", now)

    def finish(self, reason: str, now: float) -> None:
        """End the answer, after sending the text that was held back."""
        if self.done:
            return
        self.done = True
        rest = self._text.finish()
        if self._text.grown and self._unsent_logprobs:  # the broken character with which an answer was cut off
            last = self._unsent_logprobs[-1]
            self._unsent_logprobs[-1] = TokenLogprob(last.text + self._text.grown, last.logprob)
        self._send(rest, last=True)
        ticket, prepared = self.ticket, self.ticket.prepared
        first = now if self._first_token_at is None else self._first_token_at
        timing = Timing(self._started - ticket.arrived, ticket.prepare_s, first - self._started, now - first)
        ticket.emit(
            Finished(
                "stop" if self._text.stopped else reason,
                prepared.prompt_tokens,
                self._tokens,
                prepared.image_tokens,
                prepared.image_sizes,
                timing,
            )
        )

    def fail(self, error: RequestError) -> None:
        """End the request without an answer."""
        if not self.done:
            self.done = True
            self.ticket.emit(Failed(error))

    def _tell(self, logprob: float | None, text: str) -> None:
        if logprob is not None:
            self._unsent_logprobs.append(TokenLogprob(text, logprob))

    def _send(self, text: str, *, last: bool = False) -> None:
        reasoning, answer = self._reasoning.feed(text, last=last)
        if reasoning or answer or (last and self._unsent):
            self.ticket.emit(Delta(answer, tuple(self._unsent), reasoning, tuple(self._unsent_logprobs)))
            self._unsent.clear()
            self._unsent_logprobs.clear()


class Watcher(StoppingCriteria):
    """Passes the tokens of each step to their rows, and reports which rows are done.

    It is a stopping criterion, not a streamer, because it sees tokens in the step that generates them. So a stop text
    or a disconnected client ends its row at once, and reading the tokens is the only synchronisation with the device.
    """

    def __init__(self, rows: Sequence[Row], constraint: Constraint | None = None, chosen: ChosenLogprobs | None = None):
        self._rows, self._constraint, self._chosen = rows, constraint, chosen

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **options: Any) -> torch.BoolTensor:  # noqa: ARG002
        """Return which rows are done, (batch,). `input_ids` is (batch, tokens); the last column is new."""
        tokens = input_ids[:, -1].tolist()
        now = time.perf_counter()
        logprobs = [None] * len(tokens) if self._chosen is None else self._chosen.of(input_ids[:, -1])
        for number, (row, token, logprob) in enumerate(zip(self._rows, tokens, logprobs, strict=True)):
            if row.ticket.cancelled:
                row.done = True
            elif not row.done:
                row.add(token, now, logprob if row.ticket.request.logprobs else None)
                if self._constraint is not None:
                    self._follow(self._constraint, number, token, now)
        return torch.tensor([row.done for row in self._rows], device=input_ids.device)

    def _follow(self, constraint: Constraint, number: int, token: int, now: float) -> None:
        """End a row whose answer is complete by its schema, for not every model knows when to end."""
        if not self._rows[number].done and constraint.accept(number, token):
            self._rows[number].finish("stop", now)
        if self._rows[number].done:
            constraint.release(number)


def run_batch(loaded: Loaded, tickets: Sequence[Waiting]) -> None:
    """Answer requests with equal sampling values. Each request gets its events, including errors.

    If memory runs out before the first token, each half of the batch is run by itself. So only a request that is too
    large by itself fails.
    """
    rows = [Row(ticket, loaded, time.perf_counter()) for ticket in tickets]
    sampling = tickets[0].request.sampling
    error: RequestError | None = None
    try:
        inputs = loaded.family.collate([ticket.prepared for ticket in tickets])
        _seed(sampling)
        constraint = _constraint(loaded, tickets)
        chosen = ChosenLogprobs() if any(ticket.request.logprobs for ticket in tickets) else None
        stopping = StoppingCriteriaList([Watcher(rows, constraint, chosen)])
        generate(loaded, inputs, sampling, sampling.max_tokens, stopping, constraint, chosen)
    except Exception as exception:  # noqa: BLE001 - the server must survive a failing batch
        error = as_request_error(exception, loaded, len(tickets))
    now = time.perf_counter()
    # After the except block no stack frame refers to the batch's tensors, so their memory can be freed.
    if error is not None:
        _free(loaded.device)
        if error.code == "out_of_memory" and len(rows) > 1 and not any(row.began for row in rows):
            half = len(rows) // 2
            run_batch(loaded, tickets[:half])
            run_batch(loaded, tickets[half:])
            return
    for row in rows:
        if error is not None:
            row.fail(error)
        elif not row.ticket.cancelled:
            row.finish("length", now)


def generate(
    loaded: Loaded,
    inputs: Mapping[str, Any],
    sampling: Sampling,
    max_new_tokens: int,
    stopping: StoppingCriteriaList | None = None,
    constraint: Constraint | None = None,
    chosen: ChosenLogprobs | None = None,
) -> None:
    """Call the model's `generate` with `inputs` on its device. Floating-point inputs are converted to its dtype.

    `constraint` holds the rows to their schemas. `chosen` sees the logits behind it and before the penalty.
    """
    placed = {
        name: value.to(loaded.device, loaded.dtype if value.is_floating_point() else None)
        if isinstance(value, torch.Tensor)
        else value
        for name, value in inputs.items()
    }
    config = generation_config(loaded, sampling, max_new_tokens)
    processors = LogitsProcessorList([one for one in (constraint, chosen) if one is not None])
    if chosen is not None and sampling.repetition_penalty != 1.0:
        # By itself transformers puts the penalty first. Behind the mask it gives the same scores.
        config.repetition_penalty = 1.0
        processors.append(_penalty(loaded, placed, sampling.repetition_penalty))
    with torch.inference_mode():
        loaded.model.generate(
            **placed,
            generation_config=config,
            stopping_criteria=stopping,
            logits_processor=processors,
        )


def generation_config(loaded: Loaded, sampling: Sampling, max_new_tokens: int) -> GenerationConfig:
    """Return the values for `generate`. All are set, so that no default of a checkpoint or of transformers applies."""
    values: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        values = {
            "do_sample": True,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
        }
    return GenerationConfig(
        **values,
        max_new_tokens=max_new_tokens,
        repetition_penalty=sampling.repetition_penalty,
        num_beams=1,
        use_cache=True,
        eos_token_id=list(loaded.eos_ids) or None,
        pad_token_id=loaded.pad_id,
    )


def _penalty(loaded: Loaded, inputs: Mapping[str, Any], penalty: float) -> RepetitionPenaltyLogitsProcessor:
    """Return the penalty as transformers 5.23 makes it (generation/utils.py): padding on the left is not repeated."""
    mask = None if getattr(loaded.model.config, "is_encoder_decoder", False) else inputs.get("attention_mask")
    padding = None if mask is None else (mask != 0).int().argmax(dim=1)
    return RepetitionPenaltyLogitsProcessor(penalty, prompt_ignore_length=padding)


def _constraint(loaded: Loaded, tickets: Sequence[Waiting]) -> Constraint | None:
    """Return what holds the answers of a batch to their schemas; None where no request has one."""
    schemas = [ticket.request.response_schema for ticket in tickets]
    return Constraint(schemas, loaded.family.tokenizer, loaded.eos_ids) if any(schemas) else None


def as_request_error(exception: Exception, loaded: Loaded, batch: int) -> RequestError:
    """Return the error that a client sees for a failed batch. Write the traceback to the log."""
    out_of_memory = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    text = str(exception)
    if isinstance(exception, out_of_memory | MemoryError) or "can't allocate memory" in text:
        logger.error("out of memory in a batch of %d: %s", batch, text)
        return RequestError(
            f"out of memory on {loaded.device} in a batch of {batch}: {text.splitlines()[0] if text else 'no details'} "
            "| Lower the batch size, max_pixels or max_tokens, or use a smaller dtype or quantisation",
            status=507,
            code="out_of_memory",
        )
    logger.error("a batch of %d failed", batch, exc_info=exception)
    return RequestError(f"{type(exception).__name__}: {text}", status=500, code="generation_failed")


def _seed(sampling: Sampling) -> None:
    if sampling.temperature > 0:
        # A request without a seed must not depend on the seed of an earlier request.
        seed = int.from_bytes(os.urandom(8), "little") >> 1 if sampling.seed is None else sampling.seed
        torch.manual_seed(seed)


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text
