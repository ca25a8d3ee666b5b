"""The HTTP server of the HF engine, based on `chat_server`. It doesn't import torch, so that it can answer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.chat_server.http import ChatServer
from backends.chat_server.protocol import ChatRequest
from backends.hf_server.batcher import Batcher, Ticket
from backends.hf_server.settings import Settings

if TYPE_CHECKING:
    from backends.hf_server.loaded import Loaded


class Server(ChatServer):
    """The endpoints of the HF engine: they pass requests to the batcher once the model is loaded."""

    owner = "hf"

    def __init__(self, settings: Settings):
        super().__init__(settings.served_model_name, settings.api_key)
        self.settings = settings
        self.batcher = Batcher(settings.batch_size)
        self.loaded: Loaded | None = None
        self._facts: dict[str, Any] = {}

    def ready(self, loaded: Loaded, facts: dict[str, Any]) -> None:
        """Answer requests from now on. `facts` are the first part of the statistics."""
        self._facts, self.loaded = facts, loaded

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        return self.loaded is not None

    async def submit(self, request: ChatRequest, arrived: float) -> Ticket:
        """Prepare a request and queue it. Raise RequestError if it can't be prepared or exceeds the context."""
        loaded = self._model()
        return await self.batcher.submit(request, arrived, loaded.family, loaded.context_tokens)

    def card(self) -> dict[str, Any]:
        """Return the origin of the model and its context length."""
        return {"root": self.settings.model, "max_model_len": self._model().context_tokens}

    def account(self) -> dict[str, Any]:
        """Return the facts about the model, its memory, and the counts of requests."""
        from backends.hf_server.statistics import running_facts

        return {**self._facts, **running_facts(self._model(), self.batcher.counts)}

    def reset(self) -> None:
        """Reset the peaks of memory. The counts of requests and tokens are not reset."""
        from backends.hf_server.statistics import reset_peaks

        reset_peaks(self._model())

    def _model(self) -> Loaded:
        assert self.loaded is not None, "asked before it is ready"
        return self.loaded
