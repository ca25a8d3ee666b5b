"""Memory of an engine that is spread over several GPUs: one meaning for every figure, the sum over all of them.

NVML's peaks are sums. vLLM and SGLang write what one GPU holds: equal shares with tensor parallelism, whose ranks hold
slices of the same layers; with pipeline parallelism the stages differ a little, and the sum is an estimate.
"""

from __future__ import annotations


def times(part: float | None, gpus: int) -> float | None:
    """Return what all GPUs hold where each holds `part` GiB; None stays unknown."""
    return None if part is None else part * gpus


def spread_over(gpus: int) -> tuple[str, ...]:
    """Return the note that belongs to such figures."""
    if gpus <= 1:
        return ()
    return (f"the engine is spread over {gpus} GPUs: its own account of memory is what it wrote of one, times {gpus}",)
