"""Did the machine stay the same? Medians of blocks over time, the spread between them, and whether it is chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.base.terminal_table import MISSING
from runner.report import drifts
from runner.report.decision import Decision
from runner.report.drifts import Tested
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each candidate that was measured in blocks and what follows; None if none was."""
    found = drifts.look(compared)
    if found is None:
        return None
    count = max(len(told["blocks"]) for _, told in found.measured)
    rows = [_row(compared, candidate, told, found.tests.get(candidate), count) for candidate, told in found.measured]
    if found.together is not None:
        levels = [_digits(compared, level - 1) for level in found.together.found.levels]
        rows.append(
            {
                "candidate": compared.texts("drift.together"),
                "medians": levels + [MISSING] * (count - len(levels)),
                **_tested(compared, found.together),
            }
        )
    unknown = [candidate.label for candidate, told in found.measured if not told["in_order"]]
    few = [one.label for one, told in found.measured if told["in_order"] and one not in found.tests]
    say = compared.texts
    sentences = [_sentence(compared, found)] if found.tests else []
    sentences += [say("drift.unknown", names=say.listed(unknown))] if unknown else []
    sentences += [say("drift.few", names=say.listed(few))] if few else []
    return {"rows": rows, "blocks": range(1, count + 1), "sentences": sentences}


def _sentence(compared: Comparison, found: drifts.Drifts) -> str:
    """Return what the tests say, in one or more sentences."""
    say = compared.texts
    if found.together is not None and found.together.is_shown:
        return drifts.told(compared, found.together, say("drift.all"))
    shown = [(one, test) for one, test in found.tests.items() if test.is_shown]
    if shown:
        return " ".join(drifts.told(compared, test, one.label) for one, test in shown)
    tested = found.together or next(iter(found.tests.values()))
    spread, chance = (say.number(share, ".1%") for share in (tested.found.spread, tested.found.chance))
    return say("drift.none", spread=spread, chance=chance)


def _row(
    compared: Comparison, candidate: Candidate, told: Mapping[str, Any], tested: Tested | None, count: int
) -> dict[str, Any]:
    # Blocks that are no stretches of time say nothing of time.
    known = [block["p50_s"] if told["in_order"] else None for block in told["blocks"]]
    return {
        "candidate": candidate.label,
        "medians": [figure("latency/p50_s", one, compared.texts) for one in known] + [MISSING] * (count - len(known)),
        **_tested(compared, tested),
    }


def _tested(compared: Comparison, tested: Tested | None) -> dict[str, Any]:
    say = compared.texts
    if tested is None:
        return {"spread": MISSING, "chance": MISSING, "p": MISSING, "word": "", "mark": MISSING}
    return {
        "spread": say.number(tested.found.spread, ".1%"),
        "chance": say.number(tested.found.chance, ".1%"),
        "p": say.number(tested.p, ".2g"),
        "word": "worse" if tested.is_shown else "same",
        "mark": say("drift.shown") if tested.is_shown else say("drift.not_shown"),
    }


def _digits(compared: Comparison, share: float) -> str:
    return compared.texts.number(share + 0.0, "+.1%")
