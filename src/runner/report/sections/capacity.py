"""How much each candidate carries: the highest rate that holds, pages a day, engines for a demand, and every step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from runner.base.terminal_table import MISSING
from runner.report.decision import Decision
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison

HOURS = 24
VERDICTS = {"holds": "▲", "fails": "▼"}


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row and the steps of each candidate whose highest rate was looked for; None if there is none."""
    searched = [(one, found) for one in compared.candidates if one.finished and (found := one.result.capacity)]
    if not searched:
        return None
    return {
        "rows": [_row(compared, candidate, found) for candidate, found in searched],
        "priced": any(candidate.metric("capacity/usd_per_1000_pages") is not None for candidate, _ in searched),
        "demand": _whole(compared, compared.settings.pages_per_day),
        "sentences": [text for candidate, found in searched for text in _carried(compared, candidate, found)],
        "assumptions": list(_assumptions(compared, [found for _, found in searched])),
        "steps": [(candidate, _steps(compared, found)) for candidate, found in searched],
    }


def objective(compared: Comparison, found: Mapping[str, Any]) -> str:
    """Return an objective in words: latency p95 ≤ 3 s."""
    say = compared.texts
    limits = found["objective"].items()
    return say.listed([f"{_limit(name)} ≤ {say.number(limit, 'g')}\u202f{say('unit.s')}" for name, limit in limits])


def _limit(name: str) -> str:
    return name.removesuffix("_s").replace("/", " ").replace("_", " ")


def _row(compared: Comparison, candidate: Candidate, found: Mapping[str, Any]) -> dict[str, Any]:
    say = compared.texts
    rate, per_hour = (_known(compared, candidate, name) for name in ("requests_per_second", "pages_per_hour"))
    pages = candidate.metric("capacity/pages_per_hour")
    at_rate = next((step for step in found["steps"] if step["requests_per_s"] == found["holds_per_s"]), None)
    return {
        "candidate": candidate.label,
        "rate": rate,
        "fails": say("capacity.not_at", rate=_digits(compared, found["fails_per_s"] / found["replicas"]))
        if found["ending"] == "found"
        else say(f"capacity.ending.{found['ending']}"),
        "per_hour": per_hour,
        "per_day": _whole(compared, None if pages is None else HOURS * pages) or MISSING,
        "engines": MISSING if (engines := _engines(compared, pages)) is None else say.number(engines, ".0f"),
        "usd": figure("cost/usd", candidate.metric("capacity/usd_per_1000_pages"), say),
        "percentiles": list(_percentiles(compared, at_rate)) if at_rate else [MISSING],
        "in_flight": MISSING if at_rate is None else say.number(at_rate["in_flight_mean"] / found["replicas"], ".1f"),
    }


def _known(compared: Comparison, candidate: Candidate, name: str) -> str:
    """Return a figure, or its bounds where it was not bracketed."""
    if (value := candidate.metric(f"capacity/{name}")) is not None:
        return _digits(compared, value)
    signs = {"at_least": "≥", "below": "<"}
    bounds = {sign: candidate.metric(f"capacity/{bound}_{name}") for bound, sign in signs.items()}
    return (
        ", ".join(f"{sign}\u202f{_digits(compared, one)}" for sign, one in bounds.items() if one is not None) or MISSING
    )


def _engines(compared: Comparison, pages_per_hour: float | None) -> int | None:
    """Return how many engines carry `report.pages_per_day`; None where that, or what one carries, is not known."""
    demand = compared.settings.pages_per_day
    if demand is None or not pages_per_hour:
        return None
    return math.ceil(demand * (compared.settings.busiest_hour_share or 1 / HOURS) / pages_per_hour)


def _carried(compared: Comparison, candidate: Candidate, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentence that a buyer asks for."""
    say, pages = compared.texts, candidate.metric("capacity/pages_per_hour")
    if pages is None:
        return
    demand, engines = compared.settings.pages_per_day, _engines(compared, pages)
    share = compared.settings.busiest_hour_share or 1 / HOURS
    about = candidate.result.environment
    yield say(
        "capacity.carried",
        label=candidate.label,
        n=engines or 1,
        pages=_whole(compared, demand if engines and demand else pages / share),
        objective=objective(compared, found),
        hardware=", ".join(about.get("gpus") or []) or about.get("cpu") or "?",
    )


def _assumptions(compared: Comparison, searches: list[Mapping[str, Any]]) -> Iterator[str]:
    say, share = compared.texts, compared.settings.busiest_hour_share
    yield say("capacity.evenly") if share is None else say("capacity.busiest", share=say.number(share, ".1%"))
    yield say("capacity.random")
    pages = {round(found["pages_per_request"], 4) for found in searches}
    yield say("capacity.pages", pages=", ".join(_digits(compared, one) for one in sorted(pages)))
    yield say("capacity.alike")
    repeats = max(found["picture_repeats"] for found in searches)
    yield say("capacity.caches") if repeats == 1 else say("capacity.repeats", most=repeats)


def _steps(compared: Comparison, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    say = compared.texts
    rows = []
    for step in found["steps"]:
        ends = [say.number(100 * step[f"decisive_{end}"], ".1f") for end in ("low", "high")]
        word = say(f"capacity.{step['verdict']}")
        rows.append(
            {
                "rate": _digits(compared, step["requests_per_s"]),
                "mark": VERDICTS[step["verdict"]],
                "word": "better" if step["verdict"] == "holds" else "worse",
                "verdict": word if step["shown"] else f"{word} {say('capacity.near')}",
                "looks": f"{step['looks']}",
                "requests": f"{step['settled_requests']}",
                "share": figure("goodput/share", step["share"], say),
                "interval": f"{_limit(step['decisive_limit'])} {say.interval(*ends)}\u202f%",
                "percentiles": list(_percentiles(compared, step)),
                "goodput": _digits(compared, step["goodput_per_s"]),
                "behind": figure("load/held_share", step["behind_share"] + 0.0, say),
                "in_flight": say.number(step["in_flight_mean"], ".1f"),
                "late": figure("load/late_share", step["late_share"], say),
            }
        )
    return rows


def _percentiles(compared: Comparison, step: Mapping[str, Any]) -> Iterator[str]:
    say = compared.texts
    for name, value in step["percentiles_s"].items():
        yield f"{_limit(name)} {say('capacity.failed') if value is None else figure('latency/limit_s', value, say)}"


def _digits(compared: Comparison, value: float) -> str:
    """Return a number with three digits that say something, and no more."""
    return _whole(compared, value) if value >= 100 else compared.texts.number(float(f"{value:.3g}"), "g")


def _whole(compared: Comparison, value: float | None) -> str:
    """Return a large number with its thousands apart; an empty text for None."""
    if value is None:
        return ""
    return compared.texts.number(value, ",.0f")
