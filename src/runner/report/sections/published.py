"""Compares the jobs' figures with published ones of the same models (`published=FILE` of an experiment)."""

from __future__ import annotations

from typing import Any

from runner.base.terminal_table import MISSING
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
    boards = [_board(compared, board) for board in published.leaderboards([one.result for one in compared.candidates])]
    for board in boards:
        notes |= board["notes"]
    return {"rows": rows, "notes": notes, "sources": source_lines, "boards": boards}


def _board(compared: Comparison, board: published.Leaderboard) -> dict[str, Any]:
    """Return a leaderboard as the template shows it, with the candidates and their intervals in it."""
    say = compared.texts
    candidates = {candidate.result.name: candidate for candidate in compared.candidates}
    lines = []
    for place in board.places:
        candidate = None if place.job is None else candidates[place.job]
        cells = []
        for measure, value in place.figures.items():
            interval = candidate.interval(measure) if candidate is not None and value is not None else None
            cells.append(
                {
                    "text": MISSING if value is None else say.number(value, ".3f"),
                    "value": value,
                    "interval": " – ".join(say.number(end, ".3f") for end in interval) if interval else "",
                }
            )
        lines.append(
            {
                "rank": place.rank,
                "name": candidate.label if candidate else place.name,
                "own": candidate is not None,
                "cells": cells,
            }
        )
    names = [say.name(measure.removeprefix("quality/")) for measure in board.measures]
    return {"names": names, "lines": lines, "notes": dict(board.notes)}
