"""The budget of candidates, and that of judges: what is spent is never more.

Each request reserves its maximum cost before it is sent. All processes of a command share the account.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from backends.api import Failure, Generation, GenerationRequest, Message, TextPart
from runner.asking.waits import Waits
from runner.planning.prices import Price

# Bytes that a chat template adds to a message. Bytes are an upper bound for tokens: no token is shorter than a byte.
_MESSAGE_BYTES, _REQUEST_BYTES = 32, 64
# After so many failures in a row, of whichever requests, the endpoint is considered down and gets no more requests.
GIVE_UP_AFTER = 20
_DOWN = ("connection", "server_error", "timeout")
_FREE = ("rate_limited", "bad_request", "unauthorised", "context_too_long", "out_of_memory", "bad_input")


class Ledger:
    """What a command has spent and reserved, in a file that all its worker processes share.

    `limit` is in USD, None for no limit. Reservations of a killed worker remain, because they may have been billed.
    """

    def __init__(self, path: Path, limit: float | None) -> None:
        """Store the settings. The file is created with the first reservation."""
        self.path, self.limit = path, limit

    def reserve(self, amount: float) -> bool:
        """Reserve an amount in USD. Return False if that would exceed the limit."""
        return self._change(amount, 0.0)

    def settle(self, reserved: float, spent: float) -> None:
        """Replace a reservation by the amount that was spent, both in USD."""
        self._change(-reserved, spent, forced=True)

    @property
    def committed(self) -> float:
        """Return the sum of what is spent and reserved, in USD."""
        reserved, spent = self._read()
        return reserved + spent

    def _change(self, reserved: float, spent: float, *, forced: bool = False) -> bool:
        if self.limit is None:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            before = self._read()
            after = (max(0.0, before[0] + reserved), before[1] + spent)
            if not forced and self.limit is not None and sum(after) > self.limit:
                return False
            fresh = self.path.with_suffix(".tmp")
            fresh.write_text(json.dumps(after), encoding="utf-8")
            fresh.replace(self.path)
        return True

    def _read(self) -> tuple[float, float]:
        if not self.path.exists():
            return 0.0, 0.0
        reserved, spent = json.loads(self.path.read_text(encoding="utf-8"))
        return float(reserved), float(spent)


@dataclass
class Spending:
    """The gate of one candidate's or judge's requests: it reserves the cost of each attempt.

    It also refuses requests that can't succeed. `paid` is the cost of the replies. `doubtful` is what requests without
    a complete reply may have cost. Both in USD. `key` is the key of the config that sets the limit.
    """

    price: Price
    ledger: Ledger
    key: str = "judge.budget_usd"
    gives_up: bool = True  # whether an endpoint that fails again and again is asked no more; else `retries` decides
    paid: float = 0.0
    doubtful: float = 0.0
    refused: int = 0
    # Pictures may take more tokens than configured. Later reservations are multiplied by the largest ratio observed.
    factor: float = 1.0
    _reserved: dict[int, float] = field(default_factory=dict)
    _freed: asyncio.Event | None = None
    _failed_in_a_row: int = 0
    _stopped: Failure | None = None

    async def enter(self, request: GenerationRequest, waits: Waits | None = None) -> Failure | None:
        """Reserve the maximum cost of an attempt. If the budget is reserved by other requests, wait for one to end.

        Return None if the request may be sent, else the failure to record.
        """
        amount = self.most(request)
        while True:
            if self._stopped is not None:
                return self._stopped
            if not amount or self.ledger.reserve(amount):
                self._reserved[id(request)] = amount
                return None
            if not self._reserved:
                self.refused += 1
                return Failure("over_budget", f"not asked: {self.key}={self.ledger.limit:g} is spent")
            self._freed = self._freed or asyncio.Event()
            came = asyncio.get_running_loop().time()
            await self._freed.wait()
            if waits is not None:
                waits.budget_s += asyncio.get_running_loop().time() - came

    def leave(self, request: GenerationRequest, generation: Generation | None) -> None:
        """Settle the cost of an attempt. `generation` is None if it was interrupted, which may have been billed."""
        reserved = self._reserved.pop(id(request), 0.0)
        cost, sure = self._cost(request, reserved, generation)
        if reserved or cost:
            self.ledger.settle(reserved, cost)
        self.paid += cost if sure else 0.0
        self.doubtful += 0.0 if sure else cost
        self._watch(generation)
        if self._freed is not None:
            self._freed.set()
            self._freed = None

    def exhausted(self, _seconds: float) -> None:
        """Leave it to `RateLimit`."""

    def asks_again(self, _generation: Generation) -> bool:
        """Count every attempt."""
        return False

    def most(self, request: GenerationRequest) -> float:
        """Return the maximum cost of an attempt in USD."""
        return self.price.dearest_input.of(self._most_tokens(request) * self.factor, request.sampling.max_tokens)

    def _most_tokens(self, request: GenerationRequest) -> int:
        pictures = sum(not isinstance(part, TextPart) for message in request.messages for part in message.parts)
        return most_text_tokens(request.messages, request.response_schema) + pictures * (self.price.image_tokens or 0)

    def _cost(self, request: GenerationRequest, reserved: float, generation: Generation | None) -> tuple[float, bool]:
        """Return the cost of an attempt in USD, and whether it is certain."""
        if generation is None:
            return reserved, False
        if generation.error is not None:
            heard = generation.timing is not None and generation.timing.ttft_s is not None
            free = generation.error.kind in _FREE or (generation.error.kind == "server_error" and not heard)
            return (0.0, True) if free else (reserved, False)
        if generation.prompt_tokens is None or generation.completion_tokens is None:
            return reserved, False
        self.factor = max(self.factor, generation.prompt_tokens / self._most_tokens(request))
        return self.price.of(*tokens_of(generation)), True

    def _watch(self, generation: Generation | None) -> None:
        """Refuse further requests if the API key is wrong or the endpoint is down."""
        error = generation.error if generation else None
        self._failed_in_a_row = self._failed_in_a_row + 1 if error and error.kind in _DOWN else 0
        if error is not None and error.kind == "unauthorised":
            self._stopped = Failure("unauthorised", error.message)
        elif self.gives_up and error is not None and self._failed_in_a_row >= GIVE_UP_AFTER:
            words = f"not asked after {GIVE_UP_AFTER} failures in a row, the last: {error.message}"
            self._stopped = Failure(error.kind, words)


def most_text_tokens(messages: Sequence[Message], schema: Mapping[str, Any] | None = None) -> int:
    """Return the most tokens that the texts of messages and a schema may take, with what a chat template adds."""
    texts = (part.text for message in messages for part in message.parts if isinstance(part, TextPart))
    of_schema = len(json.dumps(schema)) if schema else 0
    return sum(len(text.encode()) for text in texts) + of_schema + _REQUEST_BYTES + _MESSAGE_BYTES * len(messages)


def tokens_of(generation: Generation) -> tuple[int, int, int]:
    """Return the input, output and cached input tokens of a reply whose endpoint counted them."""
    prompt = generation.prompt_tokens or 0
    return prompt, generation.completion_tokens or 0, min(generation.cached_tokens or 0, prompt)
