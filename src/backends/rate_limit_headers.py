"""How long a provider asks to wait, read from its headers: after a refusal, and before one.

Clocks of two machines differ, so a time of day is counted from the response's own `Date` where it has one
(RFC 9110, 6.6.1), and from this machine's clock otherwise. What can't be read is None, never no wait.
"""

from __future__ import annotations

import datetime
import email.utils
import math
import re
import time
from collections.abc import Iterator, Mapping

# Durations as OpenAI and Groq write them (Go's time.Duration): 250ms, 1s, 6m0s, 2m59.56s, 1h2m3s.
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
# `x-ratelimit-remaining-requests` belongs to `x-ratelimit-reset-requests`, and so for tokens, days, projects and
# without a word behind; Anthropic writes `anthropic-ratelimit-requests-remaining` and `…-reset`.
_REMAINING = re.compile(
    r"(?P<before>x-ratelimit-)remaining(?P<after>[\w-]*)|(?P<name>anthropic-ratelimit-[\w-]+-)remaining", re.IGNORECASE
)
# Above these a plain number is Unix time in seconds, or in milliseconds (OpenRouter), and no duration.
_UNIX_S, _UNIX_MS = 1e9, 1e12


def wished_wait(headers: Mapping[str, str], body: bytes) -> float | None:
    """Return the seconds that a refusal asks to wait, None where it does not say.

    It is said in a header, in the body as Google writes it, or by the reset of what is exhausted.
    """
    if milliseconds := headers.get("retry-after-ms"):  # OpenAI and Azure send it beside Retry-After, and it is finer
        try:
            if 0 <= (seconds := float(milliseconds) / 1000) < float("inf"):
                return seconds
        except ValueError:
            pass
    if (told := retry_after(headers.get("Retry-After"), headers.get("Date"))) is not None:
        return told
    # google.rpc.RetryInfo: {"error": {"details": [{"@type": "…RetryInfo", "retryDelay": "17s"}]}}
    delay = re.search(rb'"retryDelay"\s*:\s*"(\d+(?:\.\d+)?)s"', body)
    return float(delay[1]) if delay else exhausted_for(headers)


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """Return the seconds that a Retry-After header gives, as seconds or as an HTTP date; None if it is invalid.

    A date in the past is now. `date` is the response's own Date header, from which a date is counted. Source: RFC 9110,
    10.2.3.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        if (at := _http_date(value)) is None:
            return None
        seconds = at - _now(date)
    return max(0.0, seconds) if seconds < float("inf") else None  # the comparison is false for NaN, too


def exhausted_for(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until that of which nothing is left is granted again; None where something is left of all.

    Read are `x-ratelimit-remaining-*` with `x-ratelimit-reset-*` (OpenAI, Azure, Groq, OpenRouter and others) and
    `anthropic-ratelimit-*-remaining` with `…-reset`. Of several that are exhausted the last one counts.
    """
    waits = [wait for remaining, reset in _limits(headers) if remaining <= 0 and (wait := _until(reset, headers))]
    return max(waits, default=None)


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[float, str]]:
    """Yield what is left of each limit, and when it is granted again, as it is written."""
    for name, value in headers.items():
        if (found := _REMAINING.fullmatch(name)) is None:
            continue
        reset = f"{found['name']}reset" if found["name"] else f"{found['before']}reset{found['after']}"
        try:
            yield float(value), headers[reset]
        except (ValueError, KeyError):
            continue


def _until(value: str, headers: Mapping[str, str]) -> float | None:
    """Return how many seconds from now a limit is reset; None if it was, or if that can't be read."""
    value = value.strip()
    if _DURATION.fullmatch(value):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    elif (number := _number(value)) is not None:
        at = number / 1000 if number >= _UNIX_MS else number
        seconds = at - _now(headers.get("Date")) if at >= _UNIX_S else number
    else:
        try:
            moment = datetime.datetime.fromisoformat(value)  # RFC 3339, with Z as well
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        seconds = moment.timestamp() - _now(headers.get("Date"))
    return seconds if 0 < seconds < float("inf") else None


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _now(date: str | None) -> float:
    """Return Unix time by the clock of the provider, else by ours."""
    at = _http_date(date) if date else None
    return time.time() if at is None else at


def _http_date(value: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(value)
        # Without a zone it is none of RFC 9110's dates, all of which are GMT; Python would take it for local time.
        return (moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
