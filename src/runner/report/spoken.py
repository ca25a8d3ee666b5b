"""The recommendation as text for the terminal and MLflow. The decision is cached and shared with the page."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

from runner.report import automation
from runner.report.decision import Decision, decide
from runner.report.model import Comparison, Report
from runner.report.trust import Distrust, warnings
from runner.studies.blind_baseline import blindness

_decisions: weakref.WeakKeyDictionary[Comparison, Decision] = weakref.WeakKeyDictionary()


def decision_of(compared: Comparison) -> Decision:
    """Return the decision on a comparison. It is cached, because its tests take a while."""
    if compared not in _decisions:
        _decisions[compared] = decide(compared)
    return _decisions[compared]


def seeing(report: Report) -> list[Comparison]:
    """Return the comparisons to show. Comparisons of blind jobs only are left out: they serve as baselines."""
    blind = [
        all(blindness(candidate.result.config) != "none" for candidate in group.candidates)
        for group in report.comparisons
    ]
    shown = [group for group, hidden in zip(report.comparisons, blind, strict=True) if not hidden]
    return shown or list(report.comparisons)


def about(compared: Comparison, decision: Decision) -> list[Distrust]:
    """Return the warnings about the recommended candidate, or about all candidates if none is recommended."""
    all_warnings = warnings(compared)
    return [
        warning for warning in all_warnings if decision.taken is None or warning.candidate in (None, decision.taken)
    ]


def lines(report: Report) -> Iterator[str]:
    """Yield a line for each comparison with the recommendation and its reason, followed by lines with warnings.

    A single job has no recommendation, unless there are constraints.
    """
    shown = seeing(report)
    for compared in shown:
        if len(compared.candidates) < 2 and not compared.settings.constraints:
            continue
        decision, say = decision_of(compared), compared.texts
        taken = say("verdict.taken", label=decision.taken.label) if decision.taken else say("verdict.undecided")
        where = f" ({compared.dataset})" if len(shown) > 1 else ""
        yield f"{say('section.verdict')}{where}: {taken}. {decision.reason}"
        for sentence in automation.sentences(compared, decision):
            yield f"  {sentence}"
        for distrust in about(compared, decision):
            named = distrust.candidate is not None and distrust.candidate is not decision.taken
            of = f"{distrust.candidate.label}: " if named and distrust.candidate else ""
            yield f"  {say('verdict.not_yet')}: {of}{distrust.text}"
