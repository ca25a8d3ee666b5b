"""The sortable table of candidates: quality with intervals and significance, speed, memory, failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metrics.api import Measure
from metrics.paired_verdict import PairedVerdict
from runner.base.terminal_table import MISSING
from runner.report.decision import Decision
from runner.report.figures import figure, is_percent
from runner.report.model import Candidate, Comparison, tracked

# The columns after those of quality; a column is shown if a candidate has its metric.
COLUMNS = (
    "latency/p50_s",
    "latency/p95_s",
    "ttft/p50_s",
    "ttft/answer_p50_s",
    "text/reasoning_tokens",
    "throughput/requests_per_s",
    "throughput/output_tokens_per_s",
    "goodput/requests_per_s",
    "capacity/requests_per_second",
    "capacity/pages_per_hour",
    "MEMORY",
    "energy/joules_per_request",
    "cost/usd_per_1000_pages",
    "judge/ratio",
    "judge/score",
)
WORDS = {"better": ("▲", "better"), "worse": ("▼", "worse"), "not distinguishable": ("≈", "same")}


@dataclass(frozen=True, slots=True)
class FigureCell:
    """A figure of the table: its text, the number to sort by, and its interval as a bar from 0 to 100."""

    text: str
    value: float | None
    note: str = ""
    bar: tuple[float, float, float] | None = None  # left end, right end, the figure itself
    mark: str = ""  # ▲ better, ▼ worse, ≈ not distinguishable
    word: str = ""  # its class in the style sheet
    title: str = ""  # the test behind the mark
    best: bool = False


def context(compared: Comparison, decision: Decision) -> dict[str, Any] | None:
    """Return header and rows."""
    names = [
        name
        for column in COLUMNS
        if (name := compared.memory or "" if column == "MEMORY" else column)
        and name not in [tracked(measure) for measure in compared.measures]
        and any(candidate.metric(name) is not None for candidate in compared.candidates)
    ]
    rows = [
        {
            "candidate": candidate,
            "taken": candidate is decision.taken,
            "optimal": candidate.label in decision.optimal,
            "out": bool(compared.settings.constraints) and candidate.ranked and not decision.eligible(candidate),
            "quality": [_quality(compared, candidate, measure) for measure in compared.measures],
            "cells": [_cell(compared, candidate, name) for name in names],
            "failed": _count(candidate, "samples/failed"),
            "truncated": _count(candidate, "samples/truncated"),
        }
        for candidate in compared.candidates
    ]
    stopped = any(candidate.stopped for candidate in compared.candidates)
    return {"names": names, "rows": rows, "axes": decision.axes, "baseline": compared.baseline, "stopped": stopped}


def _quality(compared: Comparison, candidate: Candidate, measure: Measure) -> FigureCell:
    name, say = tracked(measure), compared.texts
    value, interval = candidate.metric(name), candidate.interval(name)
    if value is None:
        return FigureCell(MISSING, None)
    mark, word, title = _mark(compared, candidate, measure)
    # The figures of a job that did not finish, or that a race stopped, are shown, and never marked as the best.
    finished = [other for other in compared.candidates if other.ranked]
    values = [known for other in finished if (known := other.metric(name)) is not None]
    best = (max if measure.better == "higher" else min)(values, default=None)
    return FigureCell(
        text=figure(name, value, say),
        value=value,
        note=" – ".join(figure(name, end, say, unit=False) for end in interval) if interval else "",
        bar=_bar(compared, measure, value, interval),
        mark=mark,
        word=word,
        title=title,
        best=candidate.ranked and value == best and len(set(values)) > 1,
    )


def _bar(
    compared: Comparison, measure: Measure, value: float, interval: tuple[float, float] | None
) -> tuple[float, float, float] | None:
    """Return the position of an interval in percent of the cell, which spans the intervals of all candidates."""
    name = tracked(measure)
    ends = [end for candidate in compared.candidates for end in candidate.interval(name) or ()]
    if interval is None or not ends or max(ends) <= min(ends):
        return None
    low, width = min(ends), max(ends) - min(ends)
    left, right, middle = (round(100 * (end - low) / width, 1) for end in (*interval, value))
    return left, right, middle


def _mark(compared: Comparison, candidate: Candidate, measure: Measure) -> tuple[str, str, str]:
    if candidate.stopped:
        return "■", "stopped", _why_stopped(compared, candidate)
    if candidate is compared.baseline:
        return "", "", ""
    verdict = compared.verdicts.get(measure.name, {}).get(candidate.label)
    if verdict is None:
        return "", "", ""
    return (*WORDS[verdict.word], _explained(compared, verdict, measure))


def _why_stopped(compared: Comparison, candidate: Candidate) -> str:
    """Return what a race showed of a candidate that it stopped."""
    race, say = candidate.result.record["race"], compared.texts
    labels = {other.result.path.name: other.label for other in compared.candidates}
    return say(
        "race.why",
        rival=labels.get(race["worse_than"], race["worse_than"]),
        measure=say.name(race["measure"]),
        after=race["decided_after"],
        margin=say.number(race["margin"], "g"),
        error=say.number(race["error"], ".3g"),
    )


def _explained(compared: Comparison, verdict: PairedVerdict, measure: Measure) -> str:
    """Return the test behind a mark as text."""
    paired, name, say = verdict.paired, tracked(measure), compared.texts
    scale, sign = (100, "\u202f%") if is_percent(name) else (1, "")
    known = paired.ci_low is not None and paired.ci_high is not None
    low, high = (say.number(scale * (end or 0.0), "+.2f") for end in (paired.ci_low, paired.ci_high))
    ends = f" {say.interval(low, high)}" if known else ""
    return say(
        "table.why",
        word=say(f"word.{WORDS[verdict.word][1]}"),
        baseline=paired.baseline,
        difference=f"{say.number(scale * paired.difference, '+.2f')}{ends}{sign}",
        test=say.phrases.get(f"test.{verdict.test}", verdict.test),
        documents=paired.documents,
        p=say.number(verdict.p, ".2g"),
        adjusted=say.number(verdict.p_adjusted, ".2g"),
        size=verdict.family_size,
        needed=say("table.needed", documents=verdict.documents_needed)
        if verdict.documents_needed and verdict.word == "not distinguishable"
        else "",
    )


def _cell(compared: Comparison, candidate: Candidate, name: str) -> FigureCell:
    value = candidate.metric(name)
    # The figures of a job that did not finish, or that a race stopped, are shown, and never marked as the best.
    finished = [other for other in compared.candidates if other.ranked]
    values = [known for other in finished if (known := other.metric(name)) is not None]
    most = name.startswith(("throughput/", "goodput/", "capacity/", "judge/"))
    best = candidate.ranked and len(set(values)) > 1 and value == (max if most else min)(values)
    # Of these figures only money has an interval; latencies may have the lowest and highest of the blocks over time.
    ends = candidate.interval(name) or _blocks(candidate, name)
    note = " – ".join(figure(name, end, compared.texts, unit=False) for end in ends)
    return FigureCell(figure(name, value, compared.texts), value, note=note, best=best)


def _blocks(candidate: Candidate, name: str) -> tuple[float, ...]:
    """Return the lowest and the highest block of a latency; nothing where it was not measured in blocks."""
    group, _, last = name.partition("/")
    ends = [candidate.metric(f"drift/{last.removesuffix('_s')}_{end}_s") for end in ("low", "high")]
    return tuple(end for end in ends if end is not None) if group == "latency" else ()


def _count(candidate: Candidate, name: str) -> FigureCell:
    value = candidate.metric(name)
    if not candidate.finished:
        return FigureCell(candidate.result.status if name == "samples/failed" else MISSING, None, word="worse")
    return FigureCell(MISSING if value is None else f"{value:.0f}", value, word="worse" if value else "")
