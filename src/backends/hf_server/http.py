"""The HTTP side: what the HF server adds to `chat_server`. Imports no torch, so that it answers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.chat_server.http import ChatServer
from backends.chat_server.protocol import ChatRequest
from backends.hf_server.batcher import Batcher, Ticket
from backends.hf_server.settings import Settings

if TYPE_CHECKING:
    from backends.hf_server.loaded import Loaded


class Server(ChatServer):
    """What the endpoints share: whether the model is there yet, and the way to it."""

    owner = "hf"

    def __init__(self, settings: Settings):
        super().__init__(settings.served_model_name, settings.api_key)
        self.settings = settings
        self.batcher = Batcher(settings.batch_size)
        self.loaded: Loaded | None = None
        self._facts: dict[str, Any] = {}

    def ready(self, loaded: Loaded, facts: dict[str, Any]) -> None:
        """Answer requests from now on. `facts` open the statistics."""
        self._facts, self.loaded = facts, loaded

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        return self.loaded is not None

    async def submit(self, asked: ChatRequest, arrived: float) -> Ticket:
        """Prepare a request and queue it. Raises RequestError where it can't be prepared or doesn't fit."""
        loaded = self._model()
        return await self.batcher.submit(asked, arrived, loaded.family, loaded.context_tokens)

    def card(self) -> dict[str, Any]:
        """Return where the model comes from, and its context."""
        return {"root": self.settings.model, "max_model_len": self._model().context_tokens}

    def account(self) -> dict[str, Any]:
        """Return what is loaded, what it takes, and what was done."""
        from backends.hf_server.statistics import running_facts

        return {**self._facts, **running_facts(self._model(), self.batcher.counts)}

    def reset(self) -> None:
        """Let the peaks of memory count from now. Counts of requests and tokens go on."""
        from backends.hf_server.statistics import reset_peaks

        reset_peaks(self._model())

    def _model(self) -> Loaded:
        assert self.loaded is not None, "asked before it is ready"
        return self.loaded
