"""The charts: drawn from what was measured, absent where nothing was; one of another package; one that breaks."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import registries
from registries import Registry
from runner import report
from runner.config.report_settings import ReportConfig
from runner.jobs.folder import JobFolder
from runner.report import charts, loading
from runner.report.charts.input_tokens import binned
from runner.report.model import Comparison
from tests.runner.report.jobs import scored_job

REFERENCES = [f"слово {number}" for number in range(12)]


def job(folder: Path, *overrides: str, wrong: int = 0, rows: Any = None, **figures: float) -> None:
    answers: list[str | None] = ["нет" if n < wrong else one for n, one in enumerate(REFERENCES)]
    told = rows or [{"field": f"f{n % 3}", "prompt_tokens": 50 + 40 * n} for n in range(len(REFERENCES))]
    scored_job(folder, *overrides, answers=answers, references=REFERENCES, rows=told, figures=figures)


def drawn(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for name, figure, error in charts.draw_all(compared(folder)):
        assert figure is not None and not error, error
        found[name] = json.loads(json.dumps(figure))
    return found


def compared(folder: Path) -> Comparison:
    (one,) = loading.build(JobFolder.below(folder), ReportConfig(), "title", folder).comparisons
    return one


def test_nothing_is_drawn_of_what_was_not_measured(tmp_path: Path):
    rows = [{"timing": None, "field": "", "doc_class": ""}] * len(REFERENCES)
    job(tmp_path / "1", rows=rows)
    job(tmp_path / "22", "model=demo_s", rows=rows)
    assert drawn(tmp_path) == {}


def test_the_front_holds_those_that_none_beats_in_both(tmp_path: Path):
    job(tmp_path / "1", "model=demo_m", **{"latency/p95_s": 1.0})
    job(tmp_path / "22", "model=demo_s", wrong=3, **{"latency/p95_s": 0.5})
    job(tmp_path / "333", "model=demo_s", "quant=w4a16", wrong=4, **{"latency/p95_s": 0.7})
    front, *points = drawn(tmp_path)["trade_off"]["data"]
    assert front["x"] == [0.5, 1.0] and front["y"] == [0.75, 1.0]
    assert sorted(point["x"][0] for point in points) == [0.5, 0.7, 1.0]


def test_a_candidate_that_a_race_stopped_is_not_on_the_front(tmp_path: Path):
    job(tmp_path / "1", "model=demo_m", **{"latency/p95_s": 1.0})
    job(tmp_path / "22", "model=demo_s", wrong=3, **{"latency/p95_s": 0.5})
    record = json.loads((tmp_path / "22" / "metrics.json").read_text())
    race = {"documents": 3, "of": 12, "questions": 3, "stopped": True, "worse_than": "1", "decided_after": 3,
            "measure": "exact_match", "margin": 0.01, "error": 0.05, "candidates": 2}  # fmt: skip
    (tmp_path / "22" / "metrics.json").write_text(json.dumps(record | {"race": race}))
    front, *points = drawn(tmp_path)["trade_off"]["data"]
    assert front["x"] == [1.0] and sorted(point["x"][0] for point in points) == [0.5, 1.0]


def test_the_heat_map_has_a_row_per_field(tmp_path: Path):
    job(tmp_path / "1")
    job(tmp_path / "22", "model=demo_s", wrong=3)
    (trace,) = drawn(tmp_path)["heat_map"]["data"]
    assert trace["y"] == ["passport / f0", "passport / f1", "passport / f2"]
    assert trace["z"] == [[1.0, 0.75]] * 3 and trace["customdata"] == [[4, 4]] * 3


def test_latency_and_input_tokens(tmp_path: Path):
    rows = [{"timing": {"latency_s": n + 1.0}, "prompt_tokens": 100 * (n + 1)} for n in range(len(REFERENCES))]
    job(tmp_path / "1", rows=rows, **{"latency/p50_s": 6.5})
    found = drawn(tmp_path)
    (line,) = found["latency"]["data"]
    assert (line["x"][0], line["x"][50], line["x"][-1]) == (1.0, 6.5, 12.0)
    (line,) = found["input_tokens"]["data"]
    assert line["x"] == [350, 950] and line["y"] == [3.5, 9.5]


def test_answers_of_other_conditions_have_no_latency(tmp_path: Path):
    job(tmp_path / "1")  # the rows have timing, the job reports none
    assert not {"latency", "input_tokens"} & set(drawn(tmp_path))


def test_parts_of_memory_stack_and_the_peak_is_a_mark(tmp_path: Path):
    job(tmp_path / "1", **{"memory/weights_gib": 5.0, "memory/kv_used_gib": 1.0, "memory/needed_gib": 7.0})
    traces = drawn(tmp_path)["memory"]["data"]
    assert [(trace["type"], trace["x"]) for trace in traces] == [("bar", [5.0]), ("bar", [1.0]), ("scatter", [7.0])]


def test_concurrency_where_it_was_swept(tmp_path: Path):
    for name, concurrency in (("1", 1), ("22", 16), ("333", 4)):
        job(tmp_path / name, f"concurrency={concurrency}", **{"throughput/requests_per_s": concurrency * 2.0})
    (line,) = drawn(tmp_path)["concurrency"]["data"]
    assert line["x"] == [1, 4, 16] and line["y"] == [2.0, 8.0, 32.0] and line["name"] == "demo_m bf16"


def test_judge_and_repeats(tmp_path: Path):
    judged = {"judge/ratio": 0.8, "judge/ratio/ci_low": 0.7, "judge/ratio/ci_high": 0.85}
    repeated = {"repeats/identical": 0.9, "repeats/similarity": 0.95, "repeats/unique_answers": 1.2}
    job(tmp_path / "1", **judged, **repeated)
    found = drawn(tmp_path)
    (point,) = found["judge"]["data"]
    assert point["x"] == [0.8] and point["error_x"]["array"] == [pytest.approx(0.05)]
    assert [bar["x"] for bar in found["repeats"]["data"]] == [[0.9], [0.95]]
    assert "demo_m bf16 1.20" in found["repeats"]["layout"]["meta"]["caption"]


def test_bins_of_tokens():
    assert binned([]) == []
    assert binned([(7, 1.0), (7, 3.0)]) == [(7.0, 2.0)]
    assert binned([(n, float(n)) for n in range(120)])[0] == (4.5, 4.5)


def test_another_package_adds_a_chart(tmp_path: Path, third_party: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(third_party))
    job(tmp_path / "1")
    report.write(JobFolder.below(tmp_path), tmp_path / "report.html", "title")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'data-name="length"' in html and "<h3>Length of answers</h3>" in html and "Characters, mean." in html


def test_a_chart_that_breaks_is_named_and_the_others_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    broken = {"broken": "runner.report.charts.nowhere:draw", **charts.BUILT_IN}
    monkeypatch.setattr(charts, "REGISTRY", Registry("chart", charts.GROUP, broken))
    taken = (EntryPoint("memory", "their_chart:draw", charts.GROUP),)
    monkeypatch.setattr(registries, "offered", lambda _: taken)
    job(tmp_path / "1", "model=demo_m", **{"latency/p95_s": 1.0})
    job(tmp_path / "22", "model=demo_s", **{"latency/p95_s": 1.0})
    report.write(JobFolder.below(tmp_path), tmp_path / "report.html", "title")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The chart broken could not be drawn: chart" in html and "ModuleNotFoundError" in html
    assert "The chart memory could not be drawn: two charts are called" in html and 'data-name="trade_off"' in html
