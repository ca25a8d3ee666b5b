"""The table of candidates: quality with intervals and significance, speed, memory, failures; sortable by any column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metrics.api import Measure
from metrics.verdict import Verdict
from runner.base.terminal_table import MISSING
from runner.report.decision import Decision
from runner.report.figures import figure, is_percent
from runner.report.model import Candidate, Comparison, tracked

# What is shown of speed and failures, as far as some candidate has it.
COLUMNS = (
    "latency/p50_s",
    "latency/p95_s",
    "ttft/p50_s",
    "throughput/requests_per_s",
    "throughput/output_tokens_per_s",
    "MEMORY",
    "energy/joules_per_request",
    "judge/ratio",
    "judge/score",
)
WORDS = {"better": ("▲", "better"), "worse": ("▼", "worse"), "not distinguishable": ("≈", "same")}


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure: as text, as the number that it sorts by, and the interval as a bar from 0 to 100."""

    text: str
    value: float | None
    note: str = ""
    bar: tuple[float, float, float] | None = None  # left end, right end, the figure itself
    mark: str = ""  # ▲ better, ▼ worse, ≈ not distinguishable
    word: str = ""  # its class in the style sheet
    title: str = ""  # what the mark rests on
    best: bool = False


def context(compared: Comparison, decision: Decision) -> dict[str, Any] | None:
    """Return header and rows."""
    names = [
        name
        for one in COLUMNS
        if (name := compared.memory or "" if one == "MEMORY" else one)
        and name not in [tracked(measure) for measure in compared.measures]
        and any(candidate.metric(name) is not None for candidate in compared.candidates)
    ]
    rows = [
        {
            "candidate": one,
            "taken": one is decision.taken,
            "optimal": one.label in decision.optimal,
            "out": bool(compared.settings.constraints) and one.finished and not decision.eligible(one),
            "quality": [_quality(compared, one, measure) for measure in compared.measures],
            "cells": [_cell(compared, one, name) for name in names],
            "failed": _count(one, "samples/failed"),
            "truncated": _count(one, "samples/truncated"),
        }
        for one in compared.candidates
    ]
    return {"names": names, "rows": rows, "axes": decision.axes, "baseline": compared.baseline}


def _quality(compared: Comparison, candidate: Candidate, measure: Measure) -> Cell:
    name, say = tracked(measure), compared.texts
    value, interval = candidate.metric(name), candidate.interval(name)
    if value is None:
        return Cell(MISSING, None)
    mark, word, title = _mark(compared, candidate, measure)
    # What a job has that did not finish is shown, and never marked as the best.
    values = [found for one in compared.candidates if one.finished and (found := one.metric(name)) is not None]
    best = (max if measure.better == "higher" else min)(values, default=None)
    return Cell(
        text=figure(name, value, say),
        value=value,
        note=" – ".join(figure(name, end, say, unit=False) for end in interval) if interval else "",
        bar=_bar(compared, measure, value, interval),
        mark=mark,
        word=word,
        title=title,
        best=candidate.finished and value == best and len(set(values)) > 1,
    )


def _bar(
    compared: Comparison, measure: Measure, value: float, interval: tuple[float, float] | None
) -> tuple[float, float, float] | None:
    """Place an interval between the lowest and the highest end of all candidates, in percent of the cell's width."""
    name = tracked(measure)
    ends = [end for one in compared.candidates for end in one.interval(name) or ()]
    if interval is None or not ends or max(ends) <= min(ends):
        return None
    low, width = min(ends), max(ends) - min(ends)
    left, right, middle = (round(100 * (one - low) / width, 1) for one in (*interval, value))
    return left, right, middle


def _mark(compared: Comparison, candidate: Candidate, measure: Measure) -> tuple[str, str, str]:
    if candidate is compared.baseline:
        return "", "", ""
    verdict = compared.verdicts.get(measure.name, {}).get(candidate.label)
    if verdict is None:
        return "", "", ""
    return (*WORDS[verdict.word], _told(compared, verdict, measure))


def _told(compared: Comparison, verdict: Verdict, measure: Measure) -> str:
    """Return what a mark rests on, for people."""
    one, name, say = verdict.paired, tracked(measure), compared.texts
    scale, sign = (100, "\u202f%") if is_percent(name) else (1, "")
    known = one.ci_low is not None and one.ci_high is not None
    low, high = (say.number(scale * (end or 0.0), "+.2f") for end in (one.ci_low, one.ci_high))
    ends = f" {say.interval(low, high)}" if known else ""
    return say(
        "table.why",
        word=say(f"word.{WORDS[verdict.word][1]}"),
        baseline=one.baseline,
        difference=f"{say.number(scale * one.difference, '+.2f')}{ends}{sign}",
        test=say.phrases.get(f"test.{verdict.test}", verdict.test),
        documents=one.documents,
        p=say.number(verdict.p, ".2g"),
        adjusted=say.number(verdict.p_adjusted, ".2g"),
        size=verdict.family_size,
        needed=say("table.needed", documents=verdict.documents_needed)
        if verdict.documents_needed and verdict.word == "not distinguishable"
        else "",
    )


def _cell(compared: Comparison, candidate: Candidate, name: str) -> Cell:
    value = candidate.metric(name)
    # What a job has that did not finish is shown, and never marked as the best.
    values = [found for one in compared.candidates if one.finished and (found := one.metric(name)) is not None]
    most = name.startswith(("throughput/", "judge/"))
    best = candidate.finished and len(set(values)) > 1 and value == (max if most else min)(values)
    return Cell(figure(name, value, compared.texts), value, best=best)


def _count(candidate: Candidate, name: str) -> Cell:
    value = candidate.metric(name)
    if not candidate.finished:
        return Cell(candidate.result.status if name == "samples/failed" else MISSING, None, word="worse")
    return Cell(MISSING if value is None else f"{value:.0f}", value, word="worse" if value else "")
