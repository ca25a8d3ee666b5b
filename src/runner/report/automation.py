"""Says which share of a candidate's answers may pass without a person, from the figures of metrics=[confidence]."""

from __future__ import annotations

from metrics.confidence import PASS_AT
from metrics.statistics import CONFIDENCE
from runner.report.decision import Decision
from runner.report.model import Candidate, Comparison
from runner.scoring.confidence import GROUP, percent


def sentences(compared: Comparison, decision: Decision) -> list[str]:
    """Return a sentence for each share of wrong answers that may be borne: of the recommended or the only candidate."""
    candidate = decision.taken or (compared.candidates[0] if len(compared.candidates) == 1 else None)
    if candidate is None or not candidate.finished or GROUP not in candidate.result.config["metrics"]:
        return []
    if not candidate.metric(f"{GROUP}/measured"):
        return [compared.texts("verdict.pass_unmeasured")]
    return [_sentence(compared, candidate, risk) for risk in risks(candidate)]


def risks(candidate: Candidate) -> tuple[float, ...]:
    """Return the shares of wrong answers that a job names (`metrics.confidence.pass_at`)."""
    options = candidate.result.config["metrics"].get(GROUP) or {}
    return tuple(map(float, options.get("pass_at") or PASS_AT))


def _sentence(compared: Comparison, candidate: Candidate, risk: float) -> str:
    say = compared.texts
    share = candidate.metric(f"{GROUP}/pass_at_{percent(risk)}")
    threshold = candidate.metric(f"{GROUP}/threshold_at_{percent(risk)}")
    values = {"risk": say.number(risk, ".3g" if risk < 0.01 else ".0%"), "confidence": say.number(CONFIDENCE, ".0%")}
    if share is None:
        return say("verdict.pass_unknown", **values)
    if threshold is None:
        return say("verdict.pass_none", **values)
    values["share"] = say.number(share, ".0%")
    if threshold <= 0:
        return say("verdict.pass_all", **values)
    return say("verdict.pass", threshold=say.number(threshold, ".4g"), **values)
