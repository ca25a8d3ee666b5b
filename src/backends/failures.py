"""Classifies an endpoint's refusal: turns HTTP status, headers and body into a `Failure`."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from backends.api import Failure, FailureKind
from backends.rate_limit_headers import wished_wait

_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|available context size"  # the latter two are llama.cpp's
    r"|maximum context length|longer than the (maximum )?model('s)? (context )?length"
    r"|max_model_len|context window",
    re.IGNORECASE,
)
_OUT_OF_MEMORY = re.compile(r"out[ _]of[ _]memory", re.IGNORECASE)
# The texts with which Azure, OpenAI, OpenRouter and DashScope refuse a question by their content rules.
_FILTERED = re.compile(
    r"content_filter|content_policy|content management policy|ResponsibleAIPolicyViolation|data_?inspection_?failed"
    r"|input was flagged|requires moderation|safety system",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(r"insufficient_quota|insufficient (balance|credits?)", re.IGNORECASE)
# With HTTP 503 and 529 providers say that they have too much to do, but servers also say 503 when they are broken or
# still starting. Anthropic: overloaded_error; OpenAI: "currently overloaded", "Slow Down"; Gemini: "is overloaded".
_OVERLOADED = re.compile(r"overloaded|rate[ _-]?limit|too[ _]?many[ _]?requests|\bslow[ _-]?down\b", re.IGNORECASE)
_NUMBERS = ("code", "status", "status_code", "statusCode", "http_status")  # keys that may hold an HTTP status
_NAMES = ("type", "error_type", "error_code")
# Keys of words, the most telling first. Amazon writes `Message`, RFC 9457 (problem details) `detail` and `title`.
_MESSAGES = (
    *("message", "Message", "detail", "error_msg", "error_message", "error_description", "errorMessage", "msg"),
    *("error", "errors", "reason", "title"),
)
_WRAPPED = ("error", "errors", "fault", "Error")  # keys under which others keep the error itself
_NO_STREAMS = re.compile(
    r"\bstream(ing)?\b.*(support|allow|available|implement|disabled|permitted|unknown|unexpected|invalid|false)"
    # OpenAI's reasoning models: "Your organization must be verified to stream this model"; unstreamed, they answer.
    r"|(support|allow|implement|permit|unknown|unexpected|invalid|disabled|extra|be verified).*\bstream(ing)?\b",
    re.IGNORECASE | re.DOTALL,
)
_SHOWN = 400  # characters of an endpoint's message that are kept


def from_status(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Classify a response whose HTTP status is not 200."""
    code, words = read_error(body)
    message = f"HTTP {status}: {words or 'no explanation in the body'}"
    if 400 <= status < 500 and _by_words(code, words) == "content_filter":
        return Failure("content_filter", message)
    # OpenAI says it with 429, OpenRouter and DeepSeek with 402: to ask again would not help.
    if status == 402 or (status == 429 and _NO_CREDIT.search(f"{code} {words}")):
        return Failure("unauthorised", f"{message}. The account has no credit left, or may not spend more")
    if status == 429 or (status in (503, 529) and _slows_us_down(headers, f"{code} {words}")):
        return Failure("rate_limited", message, retryable=True, retry_after_s=wished_wait(headers, body))
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
        return Failure("server_error", message, retryable=True, retry_after_s=wished_wait(headers, body))
    return Failure("bad_request", message)


def _slows_us_down(headers: Mapping[str, str], words: str) -> bool:
    """Return whether HTTP 503 or 529 asks for fewer requests; without such a sign the server is out of order."""
    return "Retry-After" in headers or "retry-after-ms" in headers or _OVERLOADED.search(words) is not None


def from_error_object(error: object) -> Failure:
    """Classify an error that came with HTTP 200: in the middle of a stream, or instead of a stream."""
    code, words = _words_of(error)
    message = f"the endpoint broke off with an error: {words or 'without words'}"
    if (special := _by_words(code, words)) is not None:
        return Failure(special, message)
    status = _status_of(error)
    code = code.lower()
    overloaded = status in (None, 503, 529) and _OVERLOADED.search(code if status is None else f"{code} {words}")
    if status == 429 or overloaded:
        return Failure("rate_limited", message, retryable=True)
    if status in (401, 403) or (status is None and re.search(r"authenticat|permission|api_key|unauthori[sz]ed", code)):
        return Failure("unauthorised", f"{message}. Check the endpoint's API key and what it may use")
    if status == 408:
        return Failure("timeout", message, retryable=True)
    is_refusal = re.search(
        r"invalid_?(request|parameter|argument|param)|bad.?request|not_?found|unprocessable|validation|unsupported",
        code,
    )
    if (status is not None and 400 <= status < 500) or (status is None and is_refusal):
        return Failure("bad_request", message)
    return Failure("server_error", message, retryable=True)


def error_in(chunk: Mapping[str, Any]) -> object | None:
    """Return the error that a chunk contains; None if it contains no error.

    These forms are known: `{"error": ...}` (OpenAI, SGLang, OpenRouter, TGI), the flat `{"object": "error", "message":
    ...}` (vLLM), `{"type": "error", ...}` (Anthropic), and an object without choices that has a status of 400 or more,
    FastAPI's `detail`, or a message with a code.
    """
    if chunk.get("choices") and "error" not in chunk:  # true for nearly every chunk
        return None
    if error := chunk.get("error"):
        around = {name: chunk[name] for name in _NUMBERS + _NAMES if name in chunk}
        if isinstance(error, dict):
            return {**around, **error}
        return {**around, "message": error} if isinstance(error, str) else chunk
    if "error" in (chunk.get("object"), chunk.get("type")):
        return chunk
    if chunk.get("choices") or chunk.get("usage"):
        return None
    has_code = isinstance(chunk.get("message"), str | list) and any(chunk.get(name) for name in _NUMBERS + _NAMES)
    named = ("detail", "error_msg", "error_message", "error_code", "errors", "fault")
    says_so = chunk.get("status") in ("error", "failed", "fail") or chunk.get("success") is False
    is_error = has_code or says_so or any(chunk.get(name) for name in named)
    return chunk if is_error or (_status_of(chunk) or 0) >= 400 else None


def refuses_streams(failure: Failure) -> bool:
    """Return whether an endpoint refuses to stream: HTTP 4xx or 501 with a message about `stream`."""
    is_refusal = failure.kind == "bad_request" or failure.message.startswith("HTTP 501")
    return is_refusal and _NO_STREAMS.search(failure.message) is not None


def read_error(body: bytes) -> tuple[str, str]:
    """Return code and message of an error body.

    It may be OpenAI's form, vLLM's flat form, FastAPI's `detail`, Google's list, Amazon's `Message`, RFC 9457, a web
    page of a gateway, or any text.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return "", _shorten(_page_text(body.decode("utf-8", "replace")))
    parsed = _only(parsed)  # Gemini sends a list of one error
    if isinstance(parsed, dict):
        inner = next((one for name in _WRAPPED if isinstance(one := _only(parsed.get(name)), dict)), parsed)
        return _words_of(inner)
    return "", _shorten(parsed if isinstance(parsed, str) else json.dumps(parsed, ensure_ascii=False))


def _only(value: Any) -> Any:
    """Return the only item of a list; anything else as it is."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _page_text(text: str) -> str:
    """Return the words of a web page: its title if it has one; any other text as it is."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return f"a web page with the title {html.unescape(title[1].strip())!r}" if title and title[1].strip() else text


def _words_of(error: object) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", _shorten(str(error))
    code = " ".join(str(error[name]) for name in _NUMBERS + _NAMES if error.get(name))
    words = next((error[name] for name in _MESSAGES if error.get(name)), None) or json.dumps(error, ensure_ascii=False)
    words = words if isinstance(words, str) else json.dumps(words, ensure_ascii=False)
    # OpenAI names the setting that it refuses apart, and not always in its words.
    parameter = error.get("param")
    is_new = isinstance(parameter, str) and parameter and parameter not in words
    return code, _shorten(words) + (f" (param: {str(parameter)[:100]})" if is_new else "")


def _status_of(error: object) -> int | None:
    """Return the HTTP status that an error object contains; None if it contains none."""
    if not isinstance(error, Mapping):
        return None
    for name in _NUMBERS:
        value = error.get(name)
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 400 <= value < 600:
            return int(value)
    return None


def _by_words(code: str, words: str) -> FailureKind | None:
    text = f"{code} {words}"
    if _CONTEXT.search(text):
        return "context_too_long"
    if _OUT_OF_MEMORY.search(text):
        return "out_of_memory"
    if _FILTERED.search(text):
        return "content_filter"
    return None


def _shorten(words: str) -> str:
    words = " ".join(words.split())
    return words if len(words) <= _SHOWN else words[:_SHOWN] + " ..."
