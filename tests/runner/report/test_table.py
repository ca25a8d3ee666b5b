"""The comparison in the terminal: what distinguishes jobs, numbers or dashes."""

from pathlib import Path

from runner.report.results import choices, collect
from runner.report.table import comparison
from tests.runner.job_folders import job_folder


def test_choices_name_what_differs(tmp_path: Path):
    job_folder(tmp_path / "a", "model=demo_s", "prompt=plain", "concurrency=1")
    job_folder(tmp_path / "bb", "model=demo_m", "prompt=describe", "concurrency=4")
    told = choices(collect(tmp_path))
    assert told == [
        {"model": "demo_s", "quant": "bf16", "prompt": "plain", "concurrency": "1"},
        {"model": "demo_m", "quant": "bf16", "prompt": "describe", "concurrency": "4"},
    ]


def test_choices_name_a_key_within_a_group(tmp_path: Path):
    job_folder(tmp_path / "a", "sampling.temperature=0.1")
    job_folder(tmp_path / "bb", "sampling.temperature=0.7")
    assert [one["sampling.temperature"] for one in choices(collect(tmp_path))] == ["0.1", "0.7"]


def test_numbers_where_measured_and_dashes_where_not(tmp_path: Path):
    job_folder(tmp_path / "a", **{"latency/p50_s": 0.12345, "memory/cpu_peak_gib": 0.5})
    job_folder(tmp_path / "bb", "model=demo_s", error="the engine died")
    compared = comparison(collect(tmp_path))
    assert compared.header[-1] == "failed" and compared.header[-2] == "CPU peak GiB"
    first, second = compared.rows
    assert "0.250 [0.200, 0.300]" in first and "0.123" in first and first[-1] == "1 of 2" and first[-2] == "0.50"
    assert second[-2] == "–"
    assert compared.failures == (("model=demo_s quant=bf16", "the engine died"),)
