"""What is the largest input that an engine answers? Too large a one is a result here, and no failure.

Only datasets that probe limits (`dataset=synthetic`) are treated so.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from backends.api import Failure
from runner.datasets.synthetic import STEPS_PER_DOUBLING

# What says that an input was too large. An engine that died of it can't say so: its death says it.
KINDS = ("out_of_memory", "context_too_long", "engine_died")


def is_limit(failure: Failure | None) -> bool:
    """Say whether a failure means that the input did not fit."""
    return failure is not None and is_limit_kind(failure.kind)


def is_limit_kind(kind: str) -> bool:
    """Say whether a failure of this kind means that the input did not fit."""
    return kind in KINDS


def search(count: int) -> Generator[int, bool, int | None]:
    """Yield which of `count` inputs in order of size to try; be sent whether it worked. Return the largest that did.

    It doubles upwards from the smallest and halves the gap once one fails: what is far too large is never tried, since
    it may take the machine with it.
    """
    largest, too_large, index = -1, count, 0
    while index < too_large:
        if not (yield index):
            too_large = index
            break
        largest, index = index, min(index + STEPS_PER_DOUBLING, count - 1)
        if largest == count - 1:
            break
    while too_large - largest > 1:
        middle = (largest + too_large) // 2
        if (yield middle):
            largest = middle
        else:
            too_large = middle
    return None if largest < 0 else largest


def figures(rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], str]:
    """Return the metrics of a search from the rows that it asked, in order of size, and a sentence that says them."""
    answered = [row for row in rows if row["error"] is None]
    refused = [row for row in rows if row["error"] is not None]
    if not answered:
        return {}, f"not even the smallest input fits: {_reason(refused[0])}" if refused else "nothing was asked"
    last = answered[-1]
    counted = {"prompt_tokens": last["prompt_tokens"], "visual_tokens": last["image_tokens"]}
    metrics = {f"largest/{name}": float(value) for name, value in counted.items() if value is not None}
    words = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counted.items() if value is not None)
    if not refused:
        return (
            metrics,
            f"the largest input that was tried fits ({words}): dataset.options.search_up_to raises the limit",
        )
    return (
        metrics,
        f"the largest input that fits has {words}; the next, {refused[0]['sample_id']}, {_reason(refused[0])}",
    )


def _reason(row: Mapping[str, Any]) -> str:
    return f"failed by {row['error']['kind']}: {str(row['error']['message']).splitlines()[0][:200]}"
