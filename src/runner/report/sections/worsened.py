"""Who still reads pages that are made worse: jobs compared with the one that differs in dataset.degrade alone.

Jobs about other pages are no competitors: each kind and strength is a comparison with its own verdict. This section
stands in that of the clean pages, and looks at all of them.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metrics.paired import NothingToCompare, Paired, ScoredRun, compare
from metrics.paired_verdict import PairedVerdict, verdicts
from runner.config import decisive
from runner.jobs.pages_shown import CLEAN, Condition, shown, without
from runner.jobs.results import besides, told_apart
from runner.report.decision import Decision
from runner.report.figures import difference, figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.significance import same_version
from runner.studies.blind_baseline import blindness

Family = dict[Condition, Candidate]  # jobs that differ in dataset.degrade alone, by what they saw


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each candidate and a column for each kind and strength; None where no page was made worse."""
    families = [family for family in _families(compared) if _home(compared, family)]
    conditions = sorted({one for family in families for one in family if one != CLEAN})
    if not conditions or compared.measure is None:
        return None
    names = _names([next(iter(family.values())) for family in families])
    tested = _tested(compared, families)
    rows = [
        {
            "candidate": name,
            "clean": figure(tracked(compared.measure), compared.quality(family[CLEAN]), compared.texts)
            if CLEAN in family
            else "–",
            "cells": [
                _cell(compared, family.get(condition), tested.get((number, condition))) for condition in conditions
            ],
            "reads": _reads(compared, [(one, tested.get((number, one))) for one in conditions if one in family])
            if CLEAN in family
            else "",
        }
        for number, (name, family) in enumerate(zip(names, families, strict=True))
    ]
    margin = figure(tracked(compared.measure), compared.settings.margin, compared.texts)
    confidence = compared.texts.number(compared.settings.confidence, ".0%")
    return {
        "rows": rows,
        "columns": [str(condition) for condition in conditions],
        "measure": compared.texts.name(compared.measure.name),
        "legend": compared.texts("worsened.legend", margin=margin, confidence=confidence),
        "too_few": _too_few(compared, tested.values(), margin),
    }


def _too_few(compared: Comparison, tested: Iterable[PairedVerdict], margin: str) -> str:
    """Say that there are too few documents to show that anybody still reads; empty where there are enough."""
    short = [
        (paired.documents, test.fewest)
        for paired in (verdict.paired for verdict in tested)
        if (test := paired.non_inferiority) is not None and test.fewest and paired.documents < test.fewest
    ]
    if not short:
        return ""
    documents, fewest = min(short)[0], max(needed for _, needed in short)
    return compared.texts("worsened.too_few", documents=documents, fewest=fewest, margin=margin)


def _families(compared: Comparison) -> list[Family]:
    """Return all finished jobs that saw pages, grouped by everything that decides a figure but dataset.degrade."""
    families: dict[str, Family] = {}
    for comparison in compared.others or [compared]:
        for candidate in comparison.candidates:
            config = candidate.result.config
            if candidate.ranked and blindness(config) == "none":
                key = json.dumps(_besides(config), sort_keys=True, ensure_ascii=False, default=str)
                families.setdefault(key, {}).setdefault(shown(config), candidate)
    return [family for family in families.values() if set(family) != {CLEAN}]


def _home(compared: Comparison, family: Family) -> bool:
    """Say whether a family is told of in this comparison: that of its clean pages, or of the first that there is."""
    return family.get(CLEAN, next(iter(family.values()))) in compared.candidates


def _besides(config: Mapping[str, Any]) -> dict[str, Any]:
    kept = decisive.only(config)
    return {**kept, "dataset": without(kept["dataset"])}


def _names(candidates: Sequence[Candidate]) -> list[str]:
    """Name candidates by what tells them apart; what they saw is told by the columns."""
    chosen = told_apart([_besides(candidate.result.config) for candidate in candidates])
    return [" ".join(filter(None, [choice["model"], choice["quant"], besides(choice)])) for choice in chosen]


def _tested(compared: Comparison, families: Sequence[Family]) -> dict[tuple[int, Condition], PairedVerdict]:
    """Compare each job with that of the clean pages. All comparisons of the section are one family of tests."""
    places, pairs = [], []
    for number, family in enumerate(families):
        for condition, candidate in family.items():
            if condition == CLEAN or CLEAN not in family:
                continue
            if (paired := _paired(compared, family[CLEAN], candidate, f"{number} {condition}")) is not None:
                places.append((number, condition))
                pairs.append(paired)
    return dict(zip(places, verdicts(pairs, confidence=compared.settings.confidence), strict=True))


def _paired(compared: Comparison, clean: Candidate, worse: Candidate, name: str) -> Paired | None:
    """Compare a job with that of the clean pages by the measure that decides; None where they share no score."""
    measure = compared.measure
    assert measure is not None
    metric_name, metric = compared.metrics[measure.name]
    base, run = clean.runs.get(measure.name), worse.runs.get(measure.name)
    if base is None or run is None or not same_version(clean, worse, metric_name):
        return None
    if not set(base.stats) & set(run.stats):
        return None
    named: ScoredRun = dataclasses.replace(run, name=name)
    try:
        return compare(
            measure,
            functools.partial(metric.combine, measure.name),
            base,
            named,
            margin=compared.settings.margin,
            confidence=compared.settings.confidence,
        )
    except NothingToCompare:
        return None


def _holds(verdict: PairedVerdict | None) -> bool:
    """Say whether a job is shown to read these pages as well as clean ones, but for the margin."""
    return verdict is not None and verdict.paired.non_inferiority is not None and verdict.paired.non_inferiority.holds


def _cell(compared: Comparison, candidate: Candidate | None, verdict: PairedVerdict | None) -> dict[str, str]:
    """Return figure, difference to the clean page, and what is shown by it; the figure alone without a clean page."""
    if candidate is None:
        return {"value": "–", "difference": "", "word": "", "kind": ""}
    say, measure = compared.texts, compared.measure
    assert measure is not None
    value = figure(tracked(measure), candidate.metric(tracked(measure)), say)
    if verdict is None:
        return {"value": value, "difference": "", "word": "", "kind": ""}
    kind = "holds" if _holds(verdict) else "worse" if verdict.word == "worse" else "open"
    told = difference(tracked(measure), verdict.paired, say)
    return {"value": value, "difference": told, "word": say(f"worsened.{kind}"), "kind": kind}


def _reads(compared: Comparison, tested: Sequence[tuple[Condition, PairedVerdict | None]]) -> str:
    """Name for each kind the highest strength up to which a candidate is shown to read, all weaker ones included."""
    reads: dict[str, str] = {}
    ended: set[str] = set()
    for condition, verdict in tested:
        kind = condition.named
        reads.setdefault(kind, "")
        if not _holds(verdict):
            ended.add(kind)
        elif kind not in ended:
            reads[kind] = f"{condition.strength:g}"
    say = compared.texts
    return "; ".join(
        say("worsened.up_to", kind=kind, strength=strength) if strength else say("worsened.not_shown", kind=kind)
        for kind, strength in reads.items()
    )
