"""What the report says of blocks over time: a change, none within a limit, or that it is not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from metrics import drift
from metrics.drift import Level
from runner.config.report_settings import LANGUAGES, ReportConfig
from runner.report import trust
from runner.report.drifts import look
from runner.report.model import Candidate, Comparison
from runner.report.sections import drift as section
from runner.report.texts import load


def blocks(
    values: tuple[float, ...], error: float = 0.001, began: float = 0.0, answers: int = 10
) -> list[dict[str, Any]]:
    return [
        {"documents": 10, "questions": 10, "answers": answers, "middle_at": began + 100 * n, "level": [value, error, 9]}
        for n, value in enumerate(values)
    ]


def compared(language: str = "en", **candidates: list[dict[str, Any]]) -> Comparison:
    found = [
        Candidate(
            SimpleNamespace(
                status="finished", record={"blocks": {"in_order": True, "blocks": of}}, path=SimpleNamespace(name=name)
            ),
            {},
            name,
        )
        for name, of in candidates.items()
    ]
    return Comparison("d", found, {}, (), ReportConfig(), load(language), found[0])


def said(of: Comparison) -> str:
    context = section.context(of, None)
    assert context is not None
    return " ".join(context["sentences"])


def warned(of: Comparison) -> list[str]:
    return [text for candidate in of.candidates for text in trust.drifted(of, candidate)]


def test_a_steady_machine_is_told_from_one_of_which_nothing_is_known():
    steady = compared(a=blocks((0.0, 0.01, 0.0), error=0.005))
    assert "a: the machine stayed the same. Blocks over time differ by 2." in said(steady) and not warned(steady)
    vague = compared(a=blocks((0.0, 0.01, 0.0), error=0.1))
    assert "no change is shown, and none is ruled out" in said(vague) and not warned(vague)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_change_of_one_candidate_is_told_of_it_alone(language: str):
    # All together: blocks of others have so wide intervals that their mean shows nothing.
    of = compared(language, a=blocks((0.0, 0.0, 0.14)), b=blocks((0.0, 0.0, 0.0), error=0.2))
    assert len(warned(of)) == 1 and warned(of)[0] in said(of) and warned(of)[0].startswith("a: ")
    of.settings.trust.drift = None
    assert not warned(of)


def test_what_all_do_together_is_said_once():
    of = compared(a=blocks((0.0, 0.0, 0.14)), b=blocks((1.0, 1.0, 1.14)))
    assert "All candidates together: answers took 15.0% longer in block 3 than in block" in said(of) and not warned(of)
    assert "a is faster than b: blocks that were asked in turns agree on it" in said(of)
    found = look(of)
    assert found is not None and found.together is not None and found.together.at_least > 0.13


def test_blocks_that_disagree_show_no_order_and_endless_intervals_are_no_figures():
    of = compared(a=blocks((0.0, 0.2)), b=blocks((0.1, 0.1)), c=blocks((9.0, 0.0), error=9.0))
    assert "No order by latency is shown between a and" in said(of) or "between b and" in said(of)
    rows = section.context(of, None)["ratios"]
    assert any("> 1000%" in row["interval"] for row in rows)


def test_candidates_that_took_no_turns_are_not_held_against_each_other():
    for other in (blocks((0.0, 0.0), began=5000), blocks((0.0, 0.0, 0.0))):
        of = compared(a=blocks((0.0, 0.0)), b=other)
        assert "a and b were not measured in turns with each other" in said(of)
        found = look(of)
        assert found is not None and found.together is None and not found.ratios


def test_failures_are_told_of():
    assert "have no latency of their own" in said(compared(a=blocks((0.0, 0.0), answers=8)))
    assert "have no latency" not in said(compared(a=blocks((0.0, 0.0))))


def test_the_corrections_are_for_candidates_and_all_together():
    levels = [Level(0.0, 0.01, 9), Level(0.1, 0.01, 9)]
    of = compared(a=blocks((0.0, 0.1), error=0.01), b=blocks((0.0, 0.1), error=0.01))
    found = look(of)
    assert found is not None and found.alone[of.candidates[0]] == drift.look(levels, tests=3)
