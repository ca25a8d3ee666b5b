"""What a job's answers cost, as a whole and for 1,000 pages: by the tokens that were counted and the hours that passed.

A page is a picture that was asked about, however many questions were asked about it. What is not known is absent: an
answer whose tokens nobody counted makes the whole cost unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metrics.statistics import jackknife, studentised_interval
from runner.planning.prices import Price

PAGES = 1000
USD, PER_PAGES, PAID = "cost/usd", f"cost/usd_per_{PAGES}_pages", "cost/paid_usd"


@dataclass(slots=True)
class Usage:
    """What the answers about one document used: counts of tokens, latencies in seconds, questions and pages.

    `pages` are pictures with the number of the repeat: a page that is read five times is five pages.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    latency_s: float = 0.0
    answered: int = 0
    questions: int = 0
    pages: set[int] = field(default_factory=set)


class Costs:
    """Sums up what answers used, row after row."""

    def __init__(self) -> None:
        self.by_document: dict[str, Usage] = {}
        self.uncounted = self.untimed = 0  # answers without a count of their tokens, or without their latency
        self._keys: set[int] = set()

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in one row of an answers.jsonl."""
        # Old rows, and tests of single figures, have no sample.
        usage = self.by_document.setdefault(str(row.get("document", "")), Usage())
        usage.questions += 1
        usage.pages.update(hash((image, row.get("repeat", 0))) for image in row.get("images") or ())
        if row["error"] is not None:
            return
        usage.answered += 1
        name = hash(row.get("key") or (row.get("sample_id"), row.get("repeat")))
        if row.get("key") and name in self._keys:
            return  # two rows that ask the same share an answer, which was paid for once
        self._keys.add(name)
        prompt, completion = row.get("prompt_tokens"), row["completion_tokens"]
        if prompt is None or completion is None:
            self.uncounted += 1
        else:
            usage.prompt += prompt
            usage.completion += completion
            usage.cached += min(row.get("cached_tokens") or 0, prompt)
        latency = (row["timing"] or {}).get("latency_s")
        self.untimed += latency is None
        usage.latency_s += latency or 0.0


def figures(
    costs: Costs, price: Price | None, usd_per_hour: float | None, measured: Mapping[str, Any] | None
) -> dict[str, float]:
    """Return the cost in USD of the answers, and of 1,000 pages with its 95% interval (documents as units).

    `usd_per_hour` counts while questions were asked (`measured["wall_s"]`); loading the engine is left out. In an open
    load this is its settled part, so every answer costs as much time as one that came in it. Questions that got no
    answer are reckoned as those that did. `measured` is None where no time was measured under these
    conditions, and so no cost of it is known.
    """
    usages = list(costs.by_document.values())
    answered = sum(usage.answered for usage in usages)
    by_document = np.zeros(len(usages))
    if not answered or (price is None and usd_per_hour is None):
        return {}
    if price is not None:
        if costs.uncounted:
            return {}
        by_document += [price.of(usage.prompt, usage.completion, usage.cached) for usage in usages]
    if usd_per_hour is not None:
        if measured is None or not measured["wall_s"] or not measured["asked"] or costs.untimed:
            return {}
        if "due" in measured:
            if not measured["answered"]:
                return {}
            share = answered / measured["answered"]
        else:
            share = sum(usage.questions for usage in usages) / measured["asked"]
        hours = measured["wall_s"] / 3600 * share
        latencies = np.array([usage.latency_s for usage in usages])
        shares = latencies / latencies.sum() if latencies.sum() else np.full(len(usages), 1 / len(usages))
        by_document += usd_per_hour * hours * shares
    values = {USD: float(by_document.sum())}
    counts = [(usage.answered, usage.questions, len(usage.pages)) for usage in usages]
    totals = np.column_stack([by_document, np.array(counts, dtype=float)])
    if not totals[:, 3].sum():
        return values
    values[PER_PAGES] = float(_per_pages(totals.sum(axis=0)))
    if (jackknifed := jackknife(totals, _per_pages)) is not None:
        interval = studentised_interval(jackknifed)
        values |= {f"{PER_PAGES}/ci_low": max(0.0, interval.low), f"{PER_PAGES}/ci_high": interval.high}
    return values


def _per_pages(totals: Any) -> Any:
    """Return USD for 1,000 pages of sums (..., 4): USD, answers, questions, pages. NaN where there is no answer."""
    usd, answered, questions, pages = np.moveaxis(np.asarray(totals, dtype=float), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return PAGES * usd / answered * questions / pages


def note(costs: Costs, told: str, values: Mapping[str, float]) -> str | None:
    """Return what a reader of the cost must know; None where no price is known. `told` are the prices in words."""
    if not told:
        return None
    if USD in values:
        return f"cost: by {told}; requests that failed are not counted in {USD}"
    if costs.uncounted:
        return f"cost: not known, since {costs.uncounted} answers came without a count of their tokens"
    return "cost: not known, since no time was measured in which the questions were asked"
