"""The recommendation and its reason, its figures, the constraints, and the reasons not to trust it yet."""

from __future__ import annotations

from typing import Any

from runner.report import automation
from runner.report.decision import Decision
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.spoken import about
from runner.report.trust import warnings


def context(compared: Comparison, decision: Decision) -> dict[str, Any] | None:
    """Return the template's variables."""
    all_warnings = warnings(compared)
    against = about(compared, decision)
    return {
        "taken": decision.taken,
        "reason": decision.reason,
        "automation": automation.sentences(compared, decision),
        "tiles": _tiles(compared, decision.taken) if decision.taken else [],
        "distrust": against,
        "others": [warning for warning in all_warnings if warning not in against],
        "checks": [
            (candidate, decision.checks[candidate.label], decision.eligible(candidate))
            for candidate in compared.candidates
        ]
        if compared.settings.constraints
        else [],
        "failures": [candidate for candidate in compared.candidates if not candidate.finished],
    }


def _tiles(compared: Comparison, taken: Candidate) -> list[dict[str, str]]:
    """Return the recommended candidate's figures: quality with its interval, latency, memory, speed."""
    say = compared.texts
    tiles = []
    for name in [
        *(tracked(measure) for measure in compared.measures[:2]),
        "latency/p50_s",
        "latency/p95_s",
        compared.memory or "",
        "throughput/requests_per_s",
        "cost/usd_per_1000_pages",
    ]:
        value = taken.metric(name)
        if value is None:
            continue
        interval = taken.interval(name)
        low_high = [figure(name, end, say, unit=False) for end in interval] if interval else []
        tiles.append(
            {
                "name": say.name(name.removeprefix("quality/")),
                "value": figure(name, value, say),
                "note": f"{low_high[0]} – {low_high[1]}" if low_high else "",
            }
        )
    return tiles
