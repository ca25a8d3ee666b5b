"""Compares the jobs' figures with published ones of the same models (`published=FILE` of an experiment)."""

from __future__ import annotations

from typing import Any

from runner.report.decision import Decision
from runner.report.model import Comparison
from runner.studies import published


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each published figure that was measured here too; None if no job names published figures."""
    figures, sources = published.compare([candidate.result for candidate in compared.candidates])
    if not sources:
        return None
    say = compared.texts
    labels = {candidate.result.name: candidate.label for candidate in compared.candidates}
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
        for row in figures
        if row.own is not None
    ]
    notes = {row.measure: row.note for row in figures if row.own is not None}
    source_lines = [
        say("published.source" if source.here != source.there else "published.source_equal",
            source=source.name, here=source.here, there=source.there)
        for source in sources
    ]  # fmt: skip
    return {"rows": rows, "notes": notes, "sources": source_lines}
