"""The verdict in words, for the terminal and for MLflow: the page's own decision, made once for all of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

from runner.report.decision import Decision, decide
from runner.report.model import Comparison, Report
from runner.report.trust import Distrust, warnings
from runner.studies.blind_baseline import blindness

_made: weakref.WeakKeyDictionary[Comparison, Decision] = weakref.WeakKeyDictionary()


def decision_of(compared: Comparison) -> Decision:
    """Return the decision on a comparison; its tests take a while, so they are run once."""
    if compared not in _made:
        _made[compared] = decide(compared)
    return _made[compared]


def seeing(report: Report) -> list[Comparison]:
    """Return the comparisons to show: blind jobs are no candidates, but what others are held against."""
    blind = [all(blindness(one.result.config) != "none" for one in group.candidates) for group in report.comparisons]
    shown = [group for group, hidden in zip(report.comparisons, blind, strict=True) if not hidden]
    return shown or list(report.comparisons)


def about(compared: Comparison, decision: Decision) -> list[Distrust]:
    """Return what speaks against the figures of the candidate to take, or of all where none is taken."""
    found = warnings(compared)
    return [one for one in found if decision.taken is None or one.candidate in (None, decision.taken)]


def lines(report: Report) -> Iterator[str]:
    """Yield a sentence for each comparison: which to take and why; behind it what says not to trust that yet.

    A job alone has no verdict, unless it is held against constraints.
    """
    shown = seeing(report)
    for one in shown:
        if len(one.candidates) < 2 and not one.settings.constraints:
            continue
        decision, say = decision_of(one), one.texts
        taken = say("verdict.taken", label=decision.taken.label) if decision.taken else say("verdict.undecided")
        where = f" ({one.dataset})" if len(shown) > 1 else ""
        yield f"{say('section.verdict')}{where}: {taken}. {decision.reason}"
        for distrust in about(one, decision):
            named = distrust.candidate is not None and distrust.candidate is not decision.taken
            of = f"{distrust.candidate.label}: " if named and distrust.candidate else ""
            yield f"  {say('verdict.not_yet')}: {of}{distrust.text}"
