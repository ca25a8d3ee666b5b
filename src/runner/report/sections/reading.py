"""Compares jobs with their blind twins, to see what is read and what is guessed (experiment=blind_baseline)."""

from __future__ import annotations

from typing import Any

from runner.report.decision import Decision
from runner.report.figures import figure
from runner.report.model import Comparison
from runner.studies.blind_baseline import ReadingGain, against, blindness, twins_key


def context(compared: Comparison, _decision: Decision) -> dict[str, Any] | None:
    """Return a row for each candidate, blind twin and measure; None if no blind twin was run."""
    everything = [candidate for comparison in compared.others for candidate in comparison.candidates]
    blind = [candidate for candidate in everything if blindness(candidate.result.config) != "none"]
    rows = [
        _row(compared, gain)
        for candidate in compared.candidates
        if blindness(candidate.result.config) == "none"
        for twin in blind
        if twins_key(candidate.result.config) == twins_key(twin.result.config)
        for measure in compared.measures
        if (
            gain := against(
                candidate.label,
                blindness(twin.result.config),
                measure,
                compared.metrics[measure.name][1],
                twin.runs.get(measure.name),
                candidate.runs.get(measure.name),
            )
        )
    ]
    return {"rows": rows} if rows else None


def _row(compared: Comparison, gain: ReadingGain) -> dict[str, str]:
    paired, say = gain.paired, compared.texts
    name = f"quality/{paired.measure.name}"
    share = "" if gain.share is None else say.number(gain.share + 0.0, ".0%")
    ends = [say.number(end, "+.3f") for end in gain.interval or ()]
    interval = f" {say.interval(*ends)}" if ends else ""
    return {
        "candidate": gain.job,
        "measure": say.name(paired.measure.name),
        "seeing": figure(name, paired.value_candidate, say),
        "blind": say(f"reading.{gain.blind}"),
        "value": figure(name, paired.value_baseline, say),
        "gain": say.number(paired.gain + 0.0, "+.3f") + interval,
        "share": share,
        "of": say("reading.of_score" if paired.measure.better == "higher" else "reading.of_error"),
    }
