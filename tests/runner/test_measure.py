"""Figures of speed and length: right where they were measured, absent where not."""

import pytest

from runner import measure
from runner.generate import Generated, joined


def row(text: str | None = "абвг", latency: float = 1.0, ttft: float | None = 0.4, tokens: int | None = 4, **more):
    error = None if text is not None else {"kind": "timeout", "message": "m"}
    timing = {"latency_s": latency, "ttft_s": ttft}
    return {"text": text, "error": error, "timing": timing, "completion_tokens": tokens, "conditions": {}} | more


def measured(wall: float = 4.0, asked: int = 4, **stats):
    return {"wall_s": wall, "waited_s": wall * 0.9, "asked": asked, "stats": {"notes": []} | stats}


def test_figures_of_four_answers():
    rows = [row(latency=latency) for latency in (1.0, 2.0, 3.0, 4.0)]
    values = measure.figures(rows, measured(cpu_peak_gib=0.5, energy_joules=8.0), timed=True)
    assert values["latency/mean_s"] == 2.5 and values["latency/p50_s"] == 2.5
    assert values["tpot/p50_s"] == pytest.approx((2.1) / 3)
    assert values["ttft/p50_s"] == pytest.approx(0.4)
    assert values["throughput/requests_per_s"] == 1.0
    assert values["throughput/output_tokens_per_s"] == 4.0
    assert values["throughput/chars_per_s"] == 4.0
    assert values["memory/cpu_peak_gib"] == 0.5
    assert values["energy/joules_per_request"] == 2.0
    assert values["harness/overhead_share"] == pytest.approx(0.1)
    assert values["text/length_mean"] == 4.0


def test_what_was_not_measured_is_absent():
    values = measure.figures([row(ttft=None, tokens=None)], None, timed=True)
    assert not [name for name in values if name.startswith(("memory", "throughput", "ttft", "tpot", "energy"))]
    assert "latency/p50_s" in values


def test_failed_answers_do_not_count():
    values = measure.figures([row(latency=1.0), row(text=None, latency=99.0)], None, timed=True)
    assert values["latency/p99_s"] == 1.0


def test_all_failed_gives_nothing():
    assert measure.figures([row(text=None)], None, timed=True) == {}


def test_answers_from_elsewhere_give_no_timing():
    assert set(measure.figures([row()], measured(), timed=False)) == {"text/length_mean"}


def test_one_token_has_no_time_per_token():
    assert "tpot/p50_s" not in measure.figures([row(tokens=1)], None, timed=True)


def test_joined_measurements_add_time_and_keep_the_higher_peak():
    before = measured(wall=4, asked=4, cpu_peak_gib=0.7, energy_joules=1.0, gpu_peak_gib=None)
    both = joined(before, measured(wall=2, asked=1, cpu_peak_gib=0.5, energy_joules=2.0, gpu_peak_gib=None))
    assert (both["wall_s"], both["asked"]) == (6, 5)
    assert both["stats"]["cpu_peak_gib"] == 0.7
    assert both["stats"]["energy_joules"] == 3.0
    assert both["stats"]["gpu_peak_gib"] is None


def test_notes_say_what_the_figures_leave_out():
    assert "other conditions" in measure.notes(Generated(timed=False), 4)[0]
    assert "no throughput" in measure.notes(Generated(), 4)[0]
    assert measure.notes(Generated(measured=measured(asked=4)), 4) == []
    assert "3 of 4" in measure.notes(Generated(measured=measured(asked=3)), 4)[0]
