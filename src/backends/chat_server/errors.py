"""Errors, and their form for a client: an HTTP status and OpenAI's error object. Standard library only."""

from __future__ import annotations

from typing import Any


class LoadError(Exception):
    """The model can't be served. The message says what is wrong, where, and what to do."""


class RequestError(Exception):
    """A request that can't be answered.

    `status` is the HTTP status, `code` the machine-readable reason: `invalid_request`, `unsupported_parameter`,
    `model_not_found`, `bad_image`, `context_length_exceeded`, `out_of_memory`, `invalid_api_key`, `not_ready`,
    `generation_failed`. `param` names the field that caused the error, if there is one.
    """

    def __init__(self, message: str, *, status: int = 400, code: str = "invalid_request", param: str | None = None):
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param

    def body(self) -> dict[str, Any]:
        """Return OpenAI's error object."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "code": self.code, "param": self.param}}
