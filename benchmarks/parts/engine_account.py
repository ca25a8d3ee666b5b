"""What vLLM itself counted of a program's requests: the truth that all programs share, however busy the machine is.

The same program differs by a quarter from one run to the next on two shared cores, because the engine then does. So
each program is compared with the engine's own times of the very requests that this program sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.request import urlopen

from backends import prometheus

FIRST, WHOLE = "vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds"
IN_ENGINE = "requests in the engine"


class Uncounted(Exception):
    """The engine counted other requests than the program says it sent."""


@dataclass(frozen=True)
class EngineAccount:
    """The engine's mean times of requests in ms: from when they came in, to the first and to the last token."""

    ttft_ms: float
    latency_ms: float


def scraped(url: str) -> prometheus.Metrics:
    """Return what the engine tells at /metrics; `url` ends with /v1."""
    with urlopen(f"{url.removesuffix('/v1')}/metrics", timeout=60) as response:
        return prometheus.Metrics(response.read().decode("utf-8"))


def between(before: prometheus.Metrics, after: prometheus.Metrics, expected: int) -> EngineAccount:
    """Return the engine's account between two scrapes. Raise Uncounted where it counted other than `expected`."""
    counted = prometheus.risen(before, after, f"{WHOLE}_count")
    first, whole = prometheus.mean(before, after, FIRST), prometheus.mean(before, after, WHOLE)
    if counted != expected or first is None or whole is None:
        raise Uncounted(f"the engine counted {counted or 0:g} requests, and {expected} were to be measured")
    return EngineAccount(1000 * first, 1000 * whole)


def beside(figures: dict[str, float], account: EngineAccount) -> dict[str, float]:
    """Return a program's figures in terms of the engine's: two ratios, and the requests that lay in the engine.

    That is Little's law: requests a second times the time that each spends there.
    """
    return {
        "TTFT, mean over the engine's": figures["TTFT mean, ms"] / account.ttft_ms,
        "latency, mean over the engine's": figures["latency mean, ms"] / account.latency_ms,
        IN_ENGINE: figures["requests/s"] * account.latency_ms / 1000,
    }
