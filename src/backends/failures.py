"""What an endpoint's refusal means: HTTP status, headers and body to a `Failure`."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping

from backends.api import Failure, FailureKind

_CONTEXT = re.compile(
    r"context_length_exceeded|maximum context length|longer than the (maximum )?model('s)? (context )?length"
    r"|max_model_len|context window",
    re.IGNORECASE,
)
_OUT_OF_MEMORY = re.compile(r"out[ _]of[ _]memory", re.IGNORECASE)
_NO_STREAMS = re.compile(
    r"\bstream(ing)?\b.*(support|allow|available|implement|disabled|permitted|unknown|unexpected|invalid|false)"
    r"|(support|allow|implement|permit|unknown|unexpected|invalid|disabled|extra).*\bstream(ing)?\b",
    re.IGNORECASE | re.DOTALL,
)
_SHOWN = 400  # characters of an endpoint's own words


def from_status(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Classify an answer whose HTTP status is not 200."""
    code, words = read_error(body)
    message = f"HTTP {status}: {words or 'no explanation in the body'}"
    if status == 429:
        return Failure("rate_limited", message, retryable=True, retry_after_s=retry_after(headers.get("Retry-After")))
    if status in (401, 403):
        return Failure("unauthorised", f"{message}. Check the endpoint's API key and what it may use")
    if 300 <= status < 400:
        location = headers.get("Location", "elsewhere")
        return Failure("bad_response", f"HTTP {status}: redirected to {location}; give that address as the base URL")
    if (special := _by_words(code, words)) is not None:
        return Failure(special, message)
    if status == 408:
        return Failure("timeout", message, retryable=True)
    if status >= 500:
        return Failure("server_error", message, retryable=True, retry_after_s=retry_after(headers.get("Retry-After")))
    return Failure("bad_request", message)


def from_error_object(error: object) -> Failure:
    """Classify an `error` that came in the middle of a stream, after HTTP 200."""
    code, words = _words_of(error)
    message = f"the endpoint broke off with an error: {words or 'without words'}"
    if (special := _by_words(code, words)) is not None:
        return Failure(special, message)
    if code == "429" or "rate_limit" in code:
        return Failure("rate_limited", message, retryable=True)
    if code in ("400", "413", "422") or "invalid_request" in code:
        return Failure("bad_request", message)
    return Failure("server_error", message, retryable=True)


def refuses_streams(failure: Failure) -> bool:
    """Say whether an endpoint answers in one piece only, by its own words: HTTP 4xx or 501 about `stream`."""
    says_so = failure.kind == "bad_request" or failure.message.startswith("HTTP 501")
    return says_so and _NO_STREAMS.search(failure.message) is not None


def retry_after(value: str | None) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date, as seconds from now."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None  # this is false for NaN, too


def read_error(body: bytes) -> tuple[str, str]:
    """Return code and words of an error body: OpenAI's, vLLM's flat one, FastAPI's `detail`, or any text."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return "", _shorten(body.decode("utf-8", "replace"))
    if isinstance(parsed, dict):
        return _words_of(parsed.get("error") or parsed)
    return "", _shorten(str(parsed))


def _words_of(error: object) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", _shorten(str(error))
    code = " ".join(str(error[name]) for name in ("code", "type") if error.get(name))
    words = error.get("message") or error.get("detail") or json.dumps(error, ensure_ascii=False)
    return code, _shorten(words if isinstance(words, str) else json.dumps(words, ensure_ascii=False))


def _by_words(code: str, words: str) -> FailureKind | None:
    said = f"{code} {words}"
    if _CONTEXT.search(said):
        return "context_too_long"
    if _OUT_OF_MEMORY.search(said):
        return "out_of_memory"
    return None


def _shorten(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= _SHOWN else words[:_SHOWN] + " ..."
