"""What thinking buys: jobs that differ in `sampling.thinking` alone, compared in pairs on the same documents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from metrics.paired_verdict import PairedVerdict
from runner.config import decisive
from runner.report.decision import Decision
from runner.report.figures import difference, figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.significance import family

# From no thinking to much. `by_itself` is no word of a config: the setting was left to the model.
ORDER = ("off", "none", "minimal", "low", "by_itself", "on", "medium", "high", "xhigh", "max")
YAML_WORDS = {"false": "off", "true": "on"}
WORDS = {"better": "better", "worse": "worse", "not distinguishable": "same"}
COSTS = ("text/reasoning_tokens", "latency/p50_s", "cost/usd_per_1000_pages")


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each job that thinks more than the least thinking job of its kind; None if there is none."""
    groups: dict[str, list[Candidate]] = {}
    for candidate in compared.candidates:
        if candidate.finished:
            groups.setdefault(_besides(candidate.result.config), []).append(candidate)
    rows = []
    for group in groups.values():
        ordered = sorted(group, key=lambda candidate: _amount(word(candidate)))
        least = ordered[0]
        more = [candidate for candidate in ordered if word(candidate) != word(least)]
        if not more or compared.measure is None:
            continue
        verdicts = family(compared, compared.measure, least, more)
        rows += [_row(compared, least, candidate, verdicts.get(candidate.label)) for candidate in more]
    names = [name for name in COSTS if any(row["costs"][name] for row in rows)]
    return {"rows": rows, "names": names, "measure": compared.measure} if rows else None


def word(candidate: Candidate) -> str:
    """Return how much a job's model was told to think: a word, or a budget in tokens. Old jobs were not told."""
    setting = (candidate.result.config.get("sampling") or {}).get("thinking")
    return "by_itself" if setting is None else YAML_WORDS.get(str(setting).lower(), str(setting).lower())


def _amount(setting: str) -> tuple[int, int]:
    if re.fullmatch(r"\d+", setting):  # budgets follow the words that say that it doesn't think much
        return ORDER.index("by_itself"), int(setting)
    return (ORDER.index(setting) if setting in ORDER else len(ORDER)), 0


def _besides(config: Mapping[str, Any]) -> str:
    """Return the config without what says how much is thought. More thinking needs a higher limit of tokens."""
    kept = decisive.only(config)
    without = ("thinking", "max_tokens", "name")
    kept["sampling"] = {name: value for name, value in (kept.get("sampling") or {}).items() if name not in without}
    return json.dumps(kept, sort_keys=True, default=str)


def _row(compared: Comparison, least: Candidate, candidate: Candidate, verdict: PairedVerdict | None) -> dict[str, Any]:
    say, measure = compared.texts, compared.measure
    assert measure is not None
    name = tracked(measure)
    return {
        "candidate": candidate.label,
        "thinking": _told(compared, candidate),
        "instead": _told(compared, least),
        "before": figure(name, compared.quality(least), say),
        "now": figure(name, compared.quality(candidate), say),
        "gain": "" if verdict is None else difference(name, verdict.paired, say),
        "word": "" if verdict is None else say(f"word.{WORDS[verdict.word]}"),
        "costs": {cost: _change(compared, cost, least, candidate) for cost in COSTS},
    }


def _told(compared: Comparison, candidate: Candidate) -> str:
    setting = word(candidate)
    return compared.texts("thinking.by_itself") if setting == "by_itself" else setting


def _change(compared: Comparison, name: str, least: Candidate, candidate: Candidate) -> str:
    """Return a figure before and after; an empty text if neither is known."""
    before, now = least.metric(name), candidate.metric(name)
    if before is None and now is None:
        return ""
    return f"{figure(name, before, compared.texts)} → {figure(name, now, compared.texts)}"
