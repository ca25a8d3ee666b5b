"""What a job that was measured in blocks over time (`repeats_over_time`) shows of each block, and what that says.

`described` is what the job's record keeps under `blocks`; the report reads it back with `means`.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from metrics import drift
from runner.config.over_time import KEY

ASTRAY = 0.1  # share of the answers of a block that may have been sent while another block was: asked again later


class Timed(NamedTuple):
    """An answer: when it was sent (Unix time, seconds), its latency in seconds, and its document."""

    at: float
    latency: float
    document: str


@dataclass
class Block:
    """The answers of a block, in no order. `documents` and `questions` are how many it was dealt."""

    documents: int
    questions: int
    times: list[Timed] = field(default_factory=list)

    def percentile(self, percent: float) -> float | None:
        """Return a percentile of the latencies in seconds; None without any."""
        return float(np.percentile([one.latency for one in self.times], percent)) if self.times else None


def described(blocks: Sequence[Block]) -> dict[str, Any]:
    """Return what the record of a job keeps of its blocks, ready for JSON.

    `batches` of a block are the means of the logarithms of the latencies in seconds (metrics/drift.py); they are absent
    where there are too few answers for a test, or where the blocks are not stretches of time (`in_order` is false).
    """
    kept, in_order = _in_their_time(blocks)
    count = min(drift.batches(block.questions, block.documents) for block in blocks)
    tested = in_order and count > 0 and all(len({one.document for one in times}) >= count for times in kept)
    told = []
    for block, times in zip(blocks, kept, strict=True):
        one: dict[str, Any] = {
            "documents": block.documents,
            "answers": len(block.times),
            "p50_s": block.percentile(50),
            "p95_s": block.percentile(95),
            "began_at": min((one.at for one in times), default=None),
            "ended_at": max((one.at + one.latency for one in times), default=None),
        }
        if tested:
            one["batches"] = drift.batch_means(_by_document(times), count)
        told.append(one)
    return {"in_order": in_order, "blocks": told}


def _by_document(times: Sequence[Timed]) -> list[list[float]]:
    """Return the latencies of each document, documents in the order of their first request."""
    documents: dict[str, list[float]] = {}
    for one in sorted(times):
        documents.setdefault(one.document, []).append(one.latency)
    return list(documents.values())


def _in_their_time(blocks: Sequence[Block]) -> tuple[list[list[Timed]], bool]:
    """Return the answers of each block that were sent in its turn, and whether that are nearly all of them.

    An answer that failed and was asked again by a later command, or that was stored when the blocks were others, was
    sent at the time of another block: nearer to the middle of that one than any of it to its own.
    """
    answered = [block for block in blocks if block.times]
    if len(answered) < len(blocks):
        return [block.times for block in blocks], False
    middles = [statistics.median(one.at for one in block.times) for block in blocks]
    if any(later <= earlier for earlier, later in pairwise(middles)):
        return [block.times for block in blocks], False
    kept = []
    for number, block in enumerate(blocks):
        after = middles[number - 1] if number else float("-inf")
        until = middles[number + 1] if number + 1 < len(blocks) else float("inf")
        kept.append([one for one in block.times if after < one.at < until])
    in_order = all(
        len(times) >= (1 - ASTRAY) * len(block.times) and _apart(times, following)
        for block, times, following in zip(blocks, kept, [*kept[1:], []], strict=True)
    )
    return kept, in_order


def _apart(times: Sequence[Timed], following: Sequence[Timed]) -> bool:
    """Whether nearly all answers of a block were sent before nearly all of the following one."""
    if not following:
        return True
    last = float(np.quantile([one.at for one in times], 1 - ASTRAY))
    return last < float(np.quantile([one.at for one in following], ASTRAY))


def means(record: Mapping[str, Any]) -> np.ndarray | None:
    """Return the batches (blocks, batches) of a record's `blocks`; None where there is nothing to test."""
    blocks = record["blocks"]
    return np.array([block["batches"] for block in blocks]) if all("batches" in block for block in blocks) else None


def figures(told: Mapping[str, Any]) -> dict[str, float]:
    """Return the tracked figures: the lowest and highest block of each percentile, the spread and its p value."""
    values: dict[str, float] = {}
    if not told["in_order"]:
        return values
    for name in ("p50", "p95"):
        known = [one for block in told["blocks"] if (one := block[f"{name}_s"]) is not None]
        values |= {f"drift/{name}_low_s": min(known), f"drift/{name}_high_s": max(known)}
    if (tested := means(told)) is not None:
        found = drift.look(tested)
        values |= {"drift/spread": found.spread, "drift/p": found.p}
    return values


def note(told: Mapping[str, Any], values: Mapping[str, float]) -> str:
    """Return a sentence for people: the medians of the blocks, and whether they differ beyond chance."""
    blocks = told["blocks"]
    if not told["in_order"]:
        return (
            f"{KEY}={len(blocks)}: its blocks are not stretches of time, since answers come from the store and were "
            "measured when the blocks were others, or a block has none: whether latencies drifted is not known; "
            "reuse=never measures anew"
        )
    medians = ", ".join(f"{block['p50_s']:.3g}" for block in blocks)
    sentence = f"{KEY}={len(blocks)}: median latency of its blocks {medians} s"
    if "drift/p" not in values:
        return f"{sentence}; too few answers or documents in a block to test whether they differ"
    return f"{sentence}; means differ by {values['drift/spread']:.1%} (p {values['drift/p']:.2g})"
