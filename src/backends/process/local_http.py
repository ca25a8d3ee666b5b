"""Short blocking requests to a server on this machine: health and statistics. No proxy, no event loop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

_HEALTH_TIMEOUT_S = 2.0
_BODY_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class Health:
    """What a server says about itself; neither `ready` nor `failed` means that it is still coming up."""

    ready: bool = False
    failed: bool = False
    detail: str = ""


def ask(port: int, path: str, key: str, timeout_s: float, method: str = "GET") -> tuple[int, bytes]:
    """Return status and body. Raise OSError or HTTPException where there is no answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, response.read(_BODY_BYTES)
    finally:
        connection.close()


def health(port: int, path: str, key: str) -> Health:
    """Ask a health path: 200 is ready, 500 with `{"status": "failed"}` is the end, anything else is loading."""
    try:
        status, body = ask(port, path, key, _HEALTH_TIMEOUT_S)
    except (OSError, HTTPException):
        return Health()
    if status == 200:
        return Health(ready=True)
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return Health()
    if status == 500 and said.get("status") == "failed":
        return Health(failed=True, detail=str(said.get("error", "")))
    return Health(detail=str(said.get("detail", "")))
