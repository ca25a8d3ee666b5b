"""How long requests waited, and for what: for the provider, after faults, for limits of our own."""

from __future__ import annotations

from typing import Any

from runner.asking.waits import CAUSES
from runner.report.decision import Decision
from runner.report.figures import figure
from runner.report.model import Candidate, Comparison

WORTH_TELLING = 0.01  # share of the time; the first retries of a job are below


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each candidate whose waits are known; None if none waited for a share worth telling."""
    known = [one for one in compared.candidates if one.finished and one.metric("wait/share") is not None]
    if not any((one.metric("wait/share") or 0.0) >= WORTH_TELLING for one in known):
        return None
    # What nobody waited for needs no column.
    causes = [cause for cause in CAUSES if any(one.metric(f"wait/{cause}_s") for one in known)]
    return {"causes": causes, "rows": [_row(compared, one, causes) for one in known]}


def _row(compared: Comparison, candidate: Candidate, causes: list[str]) -> dict[str, Any]:
    names = [*(f"wait/{cause}_s" for cause in causes), "wait/share"]
    return {
        "candidate": candidate.label,
        "cells": [figure(name, candidate.metric(name), compared.texts) for name in names],
    }
