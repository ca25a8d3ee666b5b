"""Which one to take, and why: the recommendation, its figures, the constraints, and what speaks against trusting it."""

from __future__ import annotations

from typing import Any

from runner.report.decision import Decision
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison, tracked
from runner.report.spoken import about
from runner.report.trust import warnings


def context(compared: Comparison, decision: Decision) -> dict[str, Any] | None:
    """Return what the template shows."""
    found = warnings(compared)
    against = about(compared, decision)
    return {
        "taken": decision.taken,
        "reason": decision.reason,
        "tiles": _tiles(compared, decision.taken) if decision.taken else [],
        "distrust": against,
        "others": [one for one in found if one not in against],
        "checks": [(one, decision.checks[one.label], decision.eligible(one)) for one in compared.candidates]
        if compared.settings.constraints
        else [],
        "failures": [one for one in compared.candidates if not one.finished],
    }


def _tiles(compared: Comparison, taken: Candidate) -> list[dict[str, str]]:
    """Return the recommended candidate's figures: quality with its interval, latency, memory, speed."""
    say = compared.texts
    tiles = []
    for name in [
        *(tracked(one) for one in compared.measures[:2]),
        "latency/p50_s",
        "latency/p95_s",
        compared.memory or "",
        "throughput/requests_per_s",
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
