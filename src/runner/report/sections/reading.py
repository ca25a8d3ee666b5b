"""What is read and what is guessed: jobs held against those that could not see the page (experiment=blind_baseline)."""

from __future__ import annotations

from typing import Any

from runner.report.decision import Decision
from runner.report.figures import figure
from runner.report.model import Comparison
from runner.studies.blind_baseline import ReadingGain, against, blindness, twins_key


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each candidate, blind twin and measure; None where no twin was run."""
    everything = [candidate for one in compared.others for candidate in one.candidates]
    blind = [one for one in everything if blindness(one.result.config) != "none"]
    rows = [
        _row(compared, found)
        for one in compared.candidates
        if blindness(one.result.config) == "none"
        for twin in blind
        if twins_key(one.result.config) == twins_key(twin.result.config)
        for measure in compared.measures
        if (
            found := against(
                one.label,
                blindness(twin.result.config),
                measure,
                compared.metrics[measure.name][1],
                twin.runs.get(measure.name),
                one.runs.get(measure.name),
            )
        )
    ]
    return {"rows": rows} if rows else None


def _row(compared: Comparison, found: ReadingGain) -> dict[str, str]:
    one, say = found.paired, compared.texts
    name = f"quality/{one.measure.name}"
    share = "" if found.share is None else say.number(found.share + 0.0, ".0%")
    ends = [say.number(end, "+.3f") for end in found.interval or ()]
    interval = f" {say.interval(*ends)}" if ends else ""
    return {
        "candidate": found.job,
        "measure": say.name(one.measure.name),
        "seeing": figure(name, one.value_candidate, say),
        "blind": say(f"reading.{found.blind}"),
        "value": figure(name, one.value_baseline, say),
        "gain": say.number(one.gain + 0.0, "+.3f") + interval,
        "share": share,
        "of": say("reading.of_score" if one.measure.better == "higher" else "reading.of_error"),
    }
