"""What a job that was measured in blocks over time (`repeats_over_time`) shows of each block, and what that says.

`described` is what the job's record keeps under `blocks`; the report reads it back with `levels`.
"""

from __future__ import annotations

import math
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
    """An answer: when it was sent (Unix time, seconds), its latency in seconds, its document, and its lengths.

    `tokens` are those of prompt and answer; None where they are not known.
    """

    at: float
    latency: float
    document: str
    tokens: tuple[int, int] | None = None


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

    `level` of a block is how long answers took in it, with its standard error and degrees of freedom, in logarithms of
    seconds (metrics/drift.py). It is absent where a block has answers about too few documents, or where the blocks are
    not stretches of time (`in_order` is false). `middle_at` is when half of its answers were sent.
    """
    kept, in_order = _in_their_time(blocks)
    levels = drift.levels([_documents(times) for times in kept]) if in_order else None
    told = []
    for number, (block, times) in enumerate(zip(blocks, kept, strict=True)):
        one: dict[str, Any] = {
            "documents": block.documents,
            "questions": block.questions,
            "answers": len(block.times),
            "p50_s": block.percentile(50),
            "p95_s": block.percentile(95),
            "began_at": min((one.at for one in times), default=None),
            "middle_at": statistics.median(one.at for one in times) if times else None,
            "ended_at": max((one.at + one.latency for one in times), default=None),
        }
        if levels is not None:
            one["level"] = list(levels[number])
        told.append(one)
    return {"in_order": in_order, "blocks": told}


def _documents(times: Sequence[Timed]) -> list[drift.Document]:
    """Return the answers about each document together."""
    documents: dict[str, list[Timed]] = {}
    for one in times:
        documents.setdefault(one.document, []).append(one)
    return [
        drift.Document(
            statistics.fmean(math.log(one.latency) for one in answers),
            _log_lengths([one.tokens for one in answers]),
        )
        for answers in documents.values()
    ]


def _log_lengths(tokens: Sequence[tuple[int, int] | None]) -> tuple[float, ...]:
    known = [one for one in tokens if one is not None]
    if len(known) < len(tokens):
        return ()
    return tuple(statistics.fmean(math.log1p(length) for length in lengths) for lengths in zip(*known, strict=True))


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


def levels(record: Mapping[str, Any]) -> list[drift.Level] | None:
    """Return how long answers took in each block of a record's `blocks`; None where that can't be compared."""
    blocks = record["blocks"]
    return [drift.Level(*block["level"]) for block in blocks] if all("level" in block for block in blocks) else None


def figures(told: Mapping[str, Any]) -> dict[str, float]:
    """Return the tracked figures: the lowest and highest block of each percentile, and the spread with its interval."""
    values: dict[str, float] = {}
    if not told["in_order"]:
        return values
    for name in ("p50", "p95"):
        known = [one for block in told["blocks"] if (one := block[f"{name}_s"]) is not None]
        values |= {f"drift/{name}_low_s": min(known), f"drift/{name}_high_s": max(known)}
    if (known_levels := levels(told)) is not None:
        found = drift.look(known_levels)
        values |= {"drift/spread": found.spread, "drift/at_least": found.at_least, "drift/at_most": found.at_most}
    return values


def note(told: Mapping[str, Any], values: Mapping[str, float]) -> str:
    """Return a sentence for people: the medians of the blocks, and by how much they differ beyond their documents."""
    blocks = told["blocks"]
    if not told["in_order"]:
        return (
            f"{KEY}={len(blocks)}: its blocks are not stretches of time, since answers come from the store and were "
            "measured when the blocks were others, or a block has none: whether latencies drifted is not known; "
            "reuse=never measures anew"
        )
    medians = ", ".join(f"{block['p50_s']:.3g}" for block in blocks)
    sentence = f"{KEY}={len(blocks)}: median latency of its blocks {medians} s"
    if "drift/spread" not in values:
        return f"{sentence}; a block has answers about too few documents to tell whether the machine changed"
    spread, least, most = (values[f"drift/{name}"] for name in ("spread", "at_least", "at_most"))
    return f"{sentence}; the slowest took {spread:.1%} longer than the fastest ({least:.1%} to {most:.1%})"
