"""What the report says of waits: by their cause, and only where somebody waited."""

from types import SimpleNamespace

import pytest

from runner.config.report_settings import LANGUAGES, ReportConfig
from runner.jobs.figures import waits
from runner.report.model import Candidate, Comparison
from runner.report.sections import waits as section
from runner.report.texts import load

MEASURED = {
    "slots_s": 60.0,
    "rate_limit_wait_s": 30.0,
    "fault_wait_s": 0.25,
    "in_flight_wait_s": 0.0,
    "budget_wait_s": 0.0,
}


def compared(language: str, **candidates: dict[str, float]) -> Comparison:
    found = [
        Candidate(
            SimpleNamespace(
                status="finished", metrics=metrics, metric=metrics.get, record={}, path=SimpleNamespace(name=name)
            ),
            {},
            name,
        )
        for name, metrics in candidates.items()
    ]
    return Comparison("d", found, {}, (), ReportConfig(), load(language), found[0])


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_cause_that_somebody_waited_for_has_a_column(language: str):
    calm = waits({**MEASURED, "rate_limit_wait_s": 0.0, "fault_wait_s": 0.0})
    of = compared(language, busy=waits(MEASURED), calm=calm, old={})
    context = section.context(of, None)
    assert context is not None and context["causes"] == ["rate_limit", "fault"]
    rows = {row["candidate"]: row["cells"] for row in context["rows"]}
    assert set(rows) == {"busy", "calm"}, "of a job from before waits were counted nothing is known, not 0"
    units = {"en": ("30.00\u202fs", "250\u202fms", "33.5\u202f%"), "ru": ("30,00\u202fс", "250\u202fмс", "33,5\u202f%")}
    assert tuple(rows["busy"]) == units[language]
    assert all(of.texts(f"waits.{cause}") for cause in context["causes"])


def test_nobody_waited():
    few = waits({**MEASURED, "rate_limit_wait_s": 0.0})
    assert 0 < few["wait/share"] < 0.01
    assert section.context(compared("en", few=few), None) is None


def test_what_was_measured_before_waits_were_counted_has_no_figures():
    assert waits({"slots_s": 60.0}) == {}
    assert waits({**MEASURED, "fault_wait_s": None}) == {}, "an interrupted job of which the first part is older"
