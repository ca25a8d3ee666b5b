"""The comparison in the terminal: what distinguishes jobs, numbers or dashes."""

from pathlib import Path

from runner.report.results import choices, collect
from runner.report.table import comparison
from runner.tracking.description import run_name
from runner.tracking.runs import JobFolder
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


def test_a_judge_names_no_candidate(tmp_path: Path):
    judge = ("judge=absolute", "judge/model=[endpoint]", "judge.model.endpoint.name=strong")
    first = (*judge, "judge.model.endpoint.base_url=http://one.example:8000/v1")
    job_folder(tmp_path / "a", "model=demo_s", *first, "+metrics.judge={kind: absolute, rubric: correctness@1}")
    job_folder(tmp_path / "bb", "model=demo_m", "judge=none")
    assert choices(collect(tmp_path)) == [{"model": "demo_s", "quant": "bf16"}, {"model": "demo_m", "quant": "bf16"}]
    # Of one candidate that was judged twice the judge tells which is which, by its name and not by its address.
    job_folder(tmp_path / "ccc", "model=demo_s", *judge, "judge.model.endpoint.base_url=http://two.example:8000/v1")
    job_folder(tmp_path / "dddd", "model=demo_s", *judge[:2], "judge.model.endpoint.name=weak",
               "judge.model.endpoint.base_url=http://two.example:8000/v1")  # fmt: skip
    told = choices(collect(tmp_path))
    assert [(one["model"], one["judge"]) for one in told] == [
        ("demo_s", "absolute correctness strong"),
        ("demo_m", "none"),
        ("demo_s", "absolute correctness strong"),
        ("demo_s", "absolute correctness weak"),
    ]
    assert "example" not in str(told)


def test_an_endpoints_address_names_a_candidate_only_where_nothing_else_does(tmp_path: Path):
    endpoint = ("model=openai", "backend=openai", "quant=native")
    one, other = "backend.base_url=http://one.example:8000/v1", "backend.base_url=http://two.example:8000/v1"
    job_folder(tmp_path / "a", *endpoint, "model.name=small", one)
    job_folder(tmp_path / "bb", *endpoint, "model.name=large", other)
    assert choices(collect(tmp_path)) == [{"model": "small", "quant": "native"}, {"model": "large", "quant": "native"}]
    job_folder(tmp_path / "ccc", *endpoint, "model.name=small", other)
    told = [one["backend.base_url"] for one in choices(collect(tmp_path))]
    assert told == ["one.example:8000", "two.example:8000", "two.example:8000"]


def test_a_run_is_not_named_by_its_judge(tmp_path: Path):
    judge = ("judge=absolute", "judge/model=[endpoint]", "judge.model.endpoint.base_url=http://one.example/v1")
    folder = JobFolder.read(job_folder(tmp_path / "a", "prompt=plain", *judge))
    assert run_name("demo_m-bf16", folder.config, folder.environment) == "demo_m-bf16-hf prompt=plain"
