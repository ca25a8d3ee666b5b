"""Figures of how sure a model was: calibration, risk by coverage, and what may pass without a person.

confidence/ece, …/ci_low, …/ci_high; confidence/ece_if_calibrated; confidence/aurc, …/ci_low, …/ci_high;
confidence/pass_at_5pct, confidence/threshold_at_5pct; confidence/measured (share of answers);
confidence/field/<key>/pass_at_5pct, confidence/field/<key>/aurc
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set

from metrics.aggregate import segment
from metrics.api import Case, Metric, Score
from metrics.confidence import Confidence, Key
from metrics.selective import (
    Items,
    Passing,
    area,
    area_interval,
    calibration_error,
    calibration_interval,
    documents_needed,
    if_calibrated,
    may_pass,
)
from metrics.statistics import CONFIDENCE, Interval
from runner.jobs.folder import JobFolder

GROUP = "confidence"
READ = ("probability", "wrong")
_MOST_KEYS = 100  # of a dataset with more the keys are data


def percent(risk: float) -> str:
    """Return a share as a part of a metric's name: 5pct."""
    return f"{100 * risk:g}pct"


def figures(
    folder: JobFolder, cases: Sequence[Case], metrics: Mapping[str, Metric]
) -> tuple[dict[str, float], list[str]]:
    """Return the figures of a job's answers and of the keys of JSON answers, and what a reader must know of them.

    Both are empty if `confidence` is none of the metrics. What could not be measured is absent.
    """
    metric = metrics.get(GROUP)
    if not isinstance(metric, Confidence) or not cases:
        return {}, []
    documents = {(case.sample_id, case.repeat): case.document for case in cases}
    failed = {(case.sample_id, case.repeat) for case in cases if case.prediction is None}
    found, reasons = items(folder.scores(*READ), documents, failed)
    answers = found.pop("", None)
    if answers is None:
        return {}, [_unmeasured(len(cases), len(cases), reasons)]
    measured = len(answers.measured)
    values = {f"{GROUP}/measured": measured / len(cases)}
    notes = [_unmeasured(len(cases) - measured, len(cases), reasons)] if measured < len(cases) else []
    if not measured:
        return values, notes
    values |= _calibration(answers, metric.bins) | _area(GROUP, answers)
    for risk in metric.pass_at:
        passing = may_pass(answers, risk)
        values |= _passing(GROUP, risk, passing)
        notes.append(told(risk, passing, answers))
    for key, group in sorted(found.items())[:_MOST_KEYS]:
        stem = f"{GROUP}/field/{segment(key)}"
        values |= {name: value for name, value in _area(stem, group).items() if name.endswith("aurc")}
        for risk in metric.pass_at:
            values |= _passing(stem, risk, may_pass(group, risk))
    return values, notes


def items(
    scores: Iterable[Score], documents: Mapping[Key, str], failed: Set[Key]
) -> tuple[dict[str, Items], Counter[str]]:
    """Return what is known of the answers (key "") and of each key of JSON answers, and why it is not measured.

    `scores` are those of the measures in `READ`; `documents` names the document of each answer.

    Answers of which it is not known whether they are wrong are left out, but for those that failed: a person must read
    their documents.
    """
    sure: dict[str, dict[Key, float | None]] = defaultdict(dict)
    wrong: dict[str, dict[Key, float]] = defaultdict(dict)
    reasons: Counter[str] = Counter()
    for row in scores:
        key = (row.sample_id, row.repeat)
        if key not in documents:
            continue
        if row.name == "probability":
            sure[row.part][key] = row.value
        elif row.value is not None:
            wrong[row.part][key] = row.value
        elif not row.part and key in failed:
            wrong[""][key] = 1.0
        if row.value is None and not row.part:
            reasons[row.reason] += 1
    made = {
        part: Items.of(
            [documents[key] for key in judged],
            [sure[part].get(key) for key in judged],
            [value > 0 for value in judged.values()],
        )
        for part, judged in wrong.items()
        if judged
    }
    return made, reasons


def told(risk: float, passing: Passing | None, answers: Items) -> str:
    """Say for people what may pass."""
    what, documents = f"confidence: at {risk:.0%} wrong answers", len(set(answers.documents.tolist()))
    if passing is None:
        needed = documents_needed(risk, several=len(answers) > documents)
        return f"{what} nothing can be said: at least {needed} documents are needed, there are {documents}"
    if not passing.passed:
        return f"{what} no answer is shown to pass without a person ({documents} documents)"
    above = (
        f"with a probability above {passing.threshold:.4g}"
        if passing.threshold >= 0
        else "all whose probability is known"
    )
    shown = f"{CONFIDENCE:.0%} confidence, {passing.documents} documents"
    wrong = f"{passing.wrong} of {passing.passed} were wrong here"
    return f"{what} {passing.share:.0%} of the answers may pass without a person, {above} ({shown}; {wrong})"


def _calibration(answers: Items, bins: int) -> dict[str, float]:
    values = {f"{GROUP}/ece": calibration_error(answers, bins)}
    values[f"{GROUP}/ece_if_calibrated"] = if_calibrated(answers, bins)
    return values | _ends(f"{GROUP}/ece", calibration_interval(answers, bins))


def _area(stem: str, group: Items) -> dict[str, float]:
    if not len(group.measured):
        return {}
    return {f"{stem}/aurc": area(group)} | (_ends(f"{stem}/aurc", area_interval(group)) if stem == GROUP else {})


def _ends(name: str, interval: Interval | None) -> dict[str, float]:
    return {} if interval is None else {f"{name}/ci_low": interval.low, f"{name}/ci_high": interval.high}


def _passing(stem: str, risk: float, passing: Passing | None) -> dict[str, float]:
    if passing is None:
        return {}
    threshold = {f"{stem}/threshold_at_{percent(risk)}": max(passing.threshold, 0.0)} if passing.passed else {}
    return {f"{stem}/pass_at_{percent(risk)}": passing.share} | threshold


def _unmeasured(count: int, total: int, reasons: Counter[str]) -> str:
    why = f": {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"confidence: not measured for {count} of {total} answers{why}"
