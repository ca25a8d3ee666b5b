"""`--fail-if`: conditions that make a comparison exit with an error, for checks of pull requests and pipelines.

    quality/cer>+0.01                  the candidate's figure is more than 0.01 above the baseline's
    latency/p95_s>+10%                 … more than a tenth above it
    quality/cer>+0.01 significantly    … and so is the whole confidence interval of the difference
    candidate(samples/failed)>0        the candidate's figure itself

A gate that can't be decided (a missing figure, samples that lost their score) is an error and never passes.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass

from runner.studies.compare import paired_tests
from runner.studies.compare.jobs import CantCompare, Scored
from runner.studies.compare.metric_difference import Difference

FORM = re.compile(
    r"\s*(?P<absolute>candidate\()?(?P<metric>[^<>=()]+?)(?(absolute)\))\s*(?P<operator>>=|<=|>|<)\s*"
    r"(?P<number>[+-]?\d+(\.\d+)?([eE][+-]?\d+)?)\s*(?P<percent>%)?(?P<significantly>\s+significantly)?\s*"
)
EXAMPLES = '"quality/cer>+0.01", "latency/p95_s>+10%", "quality/cer>+0.01 significantly", "candidate(samples/failed)>0"'


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition as text and parsed. If `share` is true, `number` is 0.1 for 10%."""

    text: str
    metric: str
    operator: str
    number: float
    absolute: bool = False
    share: bool = False
    significantly: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a gate is crossed, and the figures behind it. `crossed` is None if that can't be decided; see `why`."""

    gate: Gate
    crossed: bool | None
    why: str

    def __str__(self) -> str:
        """Return a line for people."""
        word = {True: "FAILED", False: "passed", None: "CAN'T BE DECIDED"}[self.crossed]
        return f"{word}  --fail-if {self.gate.text!r}: {self.why}"


def parse(text: str) -> Gate:
    """Parse a condition. Raise CantCompare if it is invalid."""
    match = FORM.fullmatch(text)
    if match is None:
        raise CantCompare(f"--fail-if {text!r} is no condition; such as: {EXAMPLES}")
    absolute, significantly, percent = (bool(match[name]) for name in ("absolute", "significantly", "percent"))
    if absolute and (significantly or percent):
        raise CantCompare(f"--fail-if {text!r}: a share and a test need a difference, not candidate(...)")
    if percent and significantly:
        raise CantCompare(f"--fail-if {text!r}: the interval is of the difference itself, not of a share; leave out %")
    number = float(match["number"]) / (100 if percent else 1)
    return Gate(text, match["metric"], match["operator"], number, absolute, percent, significantly)


def decide(gate: Gate, first: Scored, second: Scored, difference: Difference | None, allow_unscored: int) -> Outcome:
    """Decide a gate for a candidate. `difference` is that of the gate's metric; None if neither job has the metric."""
    problem = _undecidable(gate, first, second, difference, allow_unscored)
    if problem or difference is None:
        return Outcome(gate, None, problem)
    if gate.absolute:
        assert difference.second is not None
        return Outcome(gate, _beyond(gate, difference.second), f"{second.name}: {difference.second:.4g}")
    change = difference.change
    assert change is not None
    summary = _summary(difference, first, second)
    if gate.share:
        assert difference.share is not None
        return Outcome(gate, _beyond(gate, difference.share), summary)
    crossed = _beyond(gate, change)
    if gate.significantly:
        assert difference.verdict is not None
        bounds = (difference.verdict.paired.ci_low, difference.verdict.paired.ci_high)
        crossed = all(_beyond(gate, bound) for bound in bounds if bound is not None)
    return Outcome(gate, crossed, summary)


def _beyond(gate: Gate, value: float) -> bool:
    """Tell whether a value crosses the gate. Values that differ from the limit only by rounding count as equal."""
    if math.isclose(value, gate.number, rel_tol=1e-9, abs_tol=1e-12):
        return gate.operator in (">=", "<=")
    return value > gate.number if gate.operator.startswith(">") else value < gate.number


def _undecidable(gate: Gate, first: Scored, second: Scored, difference: Difference | None, allow_unscored: int) -> str:
    """Return why a gate can't be decided; an empty text if it can."""
    for job in (first, second) if not gate.absolute else (second,):
        if job.result.status != "finished":
            reason = (job.result.error or "no reason is known").splitlines()[0]
            return f"{job.name} has not finished, it is {job.result.status}: {reason}"
    if difference is None:
        known = sorted(name for name in second.result.metrics if "/ci_" not in name and "/by/" not in name)
        near = difflib.get_close_matches(gate.metric, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"no such metric: {gate.metric}{hint}; {second.name} has: {', '.join(known)}"
    if difference.second is None:
        return f"{second.name} has no {gate.metric}"
    if gate.absolute:
        return ""
    if difference.first is None:
        return f"{first.name} has no {gate.metric}"
    if gate.share and difference.share is None:
        return f"{first.name} has {difference.first:g}: there is no share of that"
    group, measure = [*gate.metric.split("/"), ""][:2]
    if measure in first.measures and measure in second.measures and group == first.measures[measure][2].group:
        lost = paired_tests.lost_samples(first, second, measure)
        if len(lost) > allow_unscored:
            shown = ", ".join(lost[:3])
            return (
                f"{len(lost)} samples that {first.name} has a score for have none in {second.name} ({shown}); "
                f"see its scores.jsonl, or allow it: --allow-unscored {len(lost)}"
            )
    if gate.significantly and (difference.verdict is None or difference.verdict.paired.ci_low is None):
        return "there is no interval of this difference: it takes an overall measure of quality and two documents"
    return ""


def _summary(difference: Difference, first: Scored, second: Scored) -> str:
    change, share = difference.change, difference.share
    text = f"{second.name} against {first.name}: {change:+.4g}"
    text += "" if share is None else f" ({share:+.1%})"
    paired = difference.verdict.paired if difference.verdict else None
    if paired is None:
        return f"{text}, {difference.first:.4g} -> {difference.second:.4g}"
    interval = "" if paired.ci_low is None else f" [{paired.ci_low:+.4g}, {paired.ci_high:+.4g}]"
    return f"{text}{interval}, {paired.value_baseline:.4g} -> {paired.value_candidate:.4g} on {paired.samples} samples"
