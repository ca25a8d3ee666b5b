"""Did the machine stay the same, and do candidates keep their order? Latencies of blocks over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from metrics.drift import Drift, Ratio
from runner.base.terminal_table import MISSING
from runner.jobs import blocks
from runner.report import drifts
from runner.report.decision import Decision
from runner.report.drifts import Drifts
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison

ENDLESS = 10.0  # a share beyond which an interval says no more than that nothing is known
FAILED = 0.02  # share of a candidate's questions


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each candidate that was measured in blocks and what follows; None if none was."""
    found = drifts.look(compared)
    if found is None:
        return None
    count = max(len(told["blocks"]) for _, told in found.measured)
    rows = [_row(compared, candidate, told, found.alone.get(candidate), count) for candidate, told in found.measured]
    if found.together is not None:
        changes = [compared.texts.number(level - 1 + 0.0, "+.1%") for level in found.together.levels]
        rows.append(
            {"candidate": compared.texts("drift.together"), "cells": changes, **_spread(compared, found.together)}
        )
    return {
        "rows": rows,
        "ratios": [_beside(compared, one, ratio) for one, ratio in (found.ratios or {}).items()],
        "fastest": found.fastest.label if found.fastest else "",
        "blocks": range(1, count + 1),
        "sentences": list(_sentences(compared, found)),
    }


def _sentences(compared: Comparison, found: Drifts) -> Iterator[str]:
    """Yield what follows, sentence by sentence: on the machine, on the order of candidates, on what is not known."""
    say = compared.texts
    looks = {say("drift.all"): found.together} if found.together else {one.label: at for one, at in found.alone.items()}
    for name, look in looks.items():
        yield _machine(compared, name, look)
    if found.together and not found.together.at_least:
        yield from (drifts.told(compared, one, at.label) for at, one in found.alone.items() if one.at_least)
    if found.fastest is not None and found.ratios:
        yield from _order(compared, found.fastest, found.ratios)
    if not found.took_turns:
        yield say("drift.no_turns", names=say.listed([one.label for one in found.alone]))
    unknown = [one.label for one, told in found.measured if not told["in_order"]]
    few = [one.label for one, told in found.measured if told["in_order"] and one not in found.alone]
    if unknown:
        yield say("drift.unknown", names=say.listed(unknown))
    if few:
        yield say("drift.few", names=say.listed(few))
    if failed := [one.label for one, told in found.measured if _failed(told) > FAILED]:
        yield say("drift.failed", names=say.listed(failed))


def _machine(compared: Comparison, name: str, found: Drift) -> str:
    """Say whether the machine changed, stayed the same within a limit, or that this isn't known."""
    say, limit = compared.texts, compared.settings.trust.drift
    if found.at_least > 0:
        return drifts.told(compared, found, name)
    most = _bounded(compared, found.at_most)
    if limit is not None and found.at_most <= limit:
        return say("drift.same", name=name, most=most)
    return say("drift.not_shown", name=name, spread=say.number(found.spread, ".1%"), most=most)


def _order(compared: Comparison, fastest: Candidate, ratios: Mapping[Candidate, Ratio]) -> Iterator[str]:
    """Yield which candidates are slower than the fastest whatever the machine did, and of which that isn't shown."""
    say = compared.texts
    shown = [one.label for one, ratio in ratios.items() if ratio.low > 0]
    other = [one.label for one, ratio in ratios.items() if ratio.low <= 0]
    if shown:
        yield say("drift.order", fastest=fastest.label, names=say.listed(shown))
    if other:
        yield say("drift.no_order", fastest=fastest.label, names=say.listed(other))


def _failed(told: Mapping[str, Any]) -> float:
    """Return the share of questions without a latency."""
    questions: int = sum(block["questions"] for block in told["blocks"])
    return 1 - float(sum(block["answers"] for block in told["blocks"])) / questions


def _row(
    compared: Comparison, candidate: Candidate, told: Mapping[str, Any], found: Drift | None, count: int
) -> dict[str, Any]:
    known = [math.exp(level.value) for level in blocks.levels(told) or ()]
    cells = [figure("latency/p50_s", one, compared.texts) for one in known] + [MISSING] * (count - len(known))
    return {"candidate": candidate.label, "cells": cells, **_spread(compared, found)}


def _spread(compared: Comparison, found: Drift | None) -> dict[str, Any]:
    say = compared.texts
    if found is None:
        return {"spread": MISSING, "interval": MISSING, "word": "", "mark": MISSING}
    return {
        "spread": say.number(found.spread, ".1%"),
        "interval": f"{say.number(found.at_least, '.1%')} – {_bounded(compared, found.at_most)}",
        "word": "worse" if found.at_least > 0 else "same",
        "mark": say("drift.shown") if found.at_least > 0 else say("drift.unseen"),
    }


def _beside(compared: Comparison, candidate: Candidate, ratio: Ratio) -> dict[str, Any]:
    say = compared.texts
    return {
        "candidate": candidate.label,
        "cells": [say.number(one + 0.0, "+.1%") for one in ratio.blocks],
        "spread": say.number(ratio.mean + 0.0, "+.1%"),
        "interval": f"{say.number(ratio.low + 0.0, '+.1%')} – {_bounded(compared, ratio.high, sign='+')}",
        "word": "worse" if ratio.low > 0 else "same",
        "mark": say("drift.slower") if ratio.low > 0 else say("drift.unseen"),
    }


def _bounded(compared: Comparison, share: float, sign: str = "") -> str:
    if share > ENDLESS:
        return f"> {compared.texts.number(ENDLESS, '.0%')}"
    return compared.texts.number(share, f"{sign}.1%")
