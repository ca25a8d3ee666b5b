"""Published figures beside one's own, where the same thing was measured (`published=FILE` of an experiment)."""

from __future__ import annotations

from typing import Any

from runner.report.decision import Decision
from runner.report.model import Comparison
from runner.studies import published


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each published figure that was measured here too; None where no job names a file of them."""
    found, sources = published.compare([one.result for one in compared.candidates])
    if not sources:
        return None
    say = compared.texts
    labels = {one.result.name: one.label for one in compared.candidates}
    rows = [
        {
            "candidate": labels[row.job],
            "measure": row.measure,
            "own": say.number(row.own, ".3f"),
            "interval": ""
            if row.low is None or row.high is None
            else f"{say.number(row.low, '.3f')} – {say.number(row.high, '.3f')}",
            "published": say.number(row.published, "g"),
            "difference": say.number(row.own - row.published, "+.3f"),
        }
        for row in found
        if row.own is not None
    ]
    notes = {row.measure: row.note for row in found if row.own is not None}
    told = [
        say("published.source" if one.here != one.there else "published.source_equal",
            source=one.name, here=one.here, there=one.there)
        for one in sources
    ]  # fmt: skip
    return {"rows": rows, "notes": notes, "sources": told}
