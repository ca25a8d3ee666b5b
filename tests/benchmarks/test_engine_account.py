"""What the engine counted of a program's requests (benchmarks/parts/engine_account.py)."""

import pytest

from backends.prometheus import Metrics
from benchmarks.parts import engine_account as account


def told(requests: int, first_s: float, whole_s: float) -> Metrics:
    """Return the sums of vLLM's histograms (0.32, v1/metrics/loggers.py:931 and 961) after so many requests."""
    return Metrics(
        f'vllm:time_to_first_token_seconds_sum{{engine="0"}} {first_s}\n'
        f'vllm:time_to_first_token_seconds_count{{engine="0"}} {requests}\n'
        f'vllm:e2e_request_latency_seconds_sum{{engine="0"}} {whole_s}\n'
        f'vllm:e2e_request_latency_seconds_count{{engine="0"}} {requests}\n'
    )


def test_only_the_requests_between_two_scrapes_count():
    found = account.between(told(10, 5.0, 20.0), told(14, 5.4, 21.2), 4)
    assert (found.ttft_ms, found.latency_ms) == (pytest.approx(100), pytest.approx(300))
    figures = {"requests/s": 10.0, "TTFT mean, ms": 110.0, "latency mean, ms": 315.0}
    assert account.beside(figures, found) == {
        "TTFT, mean over the engine's": pytest.approx(1.1),
        "latency, mean over the engine's": pytest.approx(1.05),
        account.IN_ENGINE: pytest.approx(3.0),
    }


@pytest.mark.parametrize("after", [told(15, 5.4, 21.2), told(10, 5.0, 20.0), Metrics("")])
def test_requests_that_nobody_told_of_are_no_measurement(after: Metrics):
    with pytest.raises(account.Uncounted, match="and 4 were to be measured"):
        account.between(told(10, 5.0, 20.0), after, 4)
