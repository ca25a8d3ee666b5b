"""The comparison in the terminal: what distinguishes jobs, numbers or dashes, at any width; the verdict under it."""

import html
import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from runner import commands
from runner.base import terminal, terminal_table
from runner.base.terminal_table import Column, fit
from runner.jobs.folder import JobFolder
from runner.jobs.results import besides, choices, told_apart
from runner.jobs.tracking.description import run_name
from runner.report import command
from runner.report.table import comparison, notes
from tests.runner.job_folders import job_folder
from tests.runner.report.jobs import scored_job


def test_choices_name_what_differs(tmp_path: Path):
    job_folder(tmp_path / "a", "model=demo_s", "prompt=plain", "concurrency=1")
    job_folder(tmp_path / "bb", "model=demo_m", "prompt=describe", "concurrency=4")
    told = choices(JobFolder.below(tmp_path))
    assert told == [
        {"model": "demo_s", "quant": "bf16", "prompt": "plain", "concurrency": "1"},
        {"model": "demo_m", "quant": "bf16", "prompt": "describe", "concurrency": "4"},
    ]


def test_choices_name_a_key_within_a_group(tmp_path: Path):
    job_folder(tmp_path / "a", "sampling.temperature=0.1")
    job_folder(tmp_path / "bb", "sampling.temperature=0.7")
    assert [one["sampling.temperature"] for one in choices(JobFolder.below(tmp_path))] == ["0.1", "0.7"]


def test_numbers_where_measured_and_dashes_where_not(tmp_path: Path):
    job_folder(tmp_path / "a", **{"latency/p50_s": 0.12345, "memory/cpu_peak_gib": 0.5})
    job_folder(tmp_path / "bb", "model=demo_s", error="the engine died")
    compared = comparison(JobFolder.below(tmp_path))
    assert compared.header[-1] == "failed" and compared.header[-2] == "CPU peak GiB"
    first, second = compared.rows
    assert "0.250 [0.200, 0.300]" in first and "0.123" in first and first[-1] == "1 of 2" and first[-2] == "0.50"
    assert second[-2] == "–"
    assert compared.failures == (("model=demo_s quant=bf16", "the engine died"),)


def printed(columns: list[Column], width: int) -> str:
    out = io.StringIO()
    terminal_table.show(Console(width=width, file=out), columns, elsewhere="report.html")
    return out.getvalue()


@pytest.mark.parametrize("width", [48, 60, 80, 100, 120, 160])
def test_identity_is_whole_at_any_width_and_what_is_left_out_is_named(tmp_path: Path, width: int):
    names = ("demo_s", "demo_m")
    for name in names:
        job_folder(
            tmp_path / name,
            f"model={name}",
            f"prompt={'plain' if name == 'demo_s' else 'demo_questions'}",
            f"sampling.temperature={names.index(name)}",
            **{"latency/p50_s": 0.5, "latency/p95_s": 0.75, "memory/cpu_peak_gib": 0.5},
        )
    columns = list(comparison(JobFolder.below(tmp_path)).columns)
    text = printed(columns, width)
    table, _, told = text.partition("no room")
    assert all(len(line) <= width for line in table.splitlines()) and "…" not in table
    for whole in (*names, "plain", "demo_questions", "bf16"):
        assert whole in table
    assert "0.250" in table, "the measure that decides stays"
    for one in columns:
        heading = one.name.split()[0]
        assert heading in table or one.name in told, f"{one.name} went without a word"
    assert ("see report.html" in told) == bool(told)
    assert bool(told) == (width < 120)


def test_figures_go_by_weight_and_text_wider_than_the_terminal_goes_on_below():
    columns = [
        Column("model", ("a" * 50,), identity=True),
        Column("light", ("1.000",), weight=1, right=True),
        Column("heavy", ("2.000",), weight=2, right=True),
    ]
    assert fit(columns, 72).left_out == () and fit(columns, 64).left_out == ("light",)
    narrow = printed(columns, 30)
    assert narrow.count("a") >= 50 and all(len(line) <= 30 for line in narrow.splitlines()[:8])


def test_the_verdict_is_said_as_the_page_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    references = [f"слово {number}" for number in range(12)]
    for name, answers in (("demo_m", references), ("demo_s", ["нет"] * 12)):
        scored_job(tmp_path / name, f"model={name}", answers=answers, references=references)
    assert commands.run("report", [str(tmp_path)]) == 0
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("Verdict: ")]
    page = html.unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    (reason,) = re.findall(r'<p class="reason">(.*?)</p>', page)
    assert line == f"Verdict: take demo_m bf16. {reason}"
    assert said.index("┏") < said.index(line) < said.index("report:  ")
    assert "not to be trusted yet: only 12 documents" in said, "what speaks against it is not kept back"
    assert commands.run("report", [str(tmp_path), "--constraint", "quality/cer<-1"]) == 0
    assert "Verdict: No recommendation. No candidate meets" in capsys.readouterr().out


def test_columns_are_those_of_the_terminal_or_of_columns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert terminal.console().width == terminal.WIDE, "a log keeps the table whole"
    monkeypatch.setenv("COLUMNS", "80")
    assert terminal.console().width == 80


def test_a_judge_names_no_candidate(tmp_path: Path):
    judge = ("judge=absolute", "judge/model=[endpoint]", "judge.model.endpoint.name=strong")
    first = (*judge, "judge.model.endpoint.base_url=http://one.example:8000/v1")
    job_folder(tmp_path / "a", "model=demo_s", *first, "+metrics.judge={kind: absolute, rubric: correctness@1}")
    job_folder(tmp_path / "bb", "model=demo_m", "judge=none")
    assert choices(JobFolder.below(tmp_path)) == [
        {"model": "demo_s", "quant": "bf16"},
        {"model": "demo_m", "quant": "bf16"},
    ]
    # Of one candidate that was judged twice the judge tells which is which, by its name and not by its address.
    job_folder(tmp_path / "ccc", "model=demo_s", *judge, "judge.model.endpoint.base_url=http://two.example:8000/v1")
    job_folder(tmp_path / "dddd", "model=demo_s", *judge[:2], "judge.model.endpoint.name=weak",
               "judge.model.endpoint.base_url=http://two.example:8000/v1")  # fmt: skip
    told = choices(JobFolder.below(tmp_path))
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
    assert choices(JobFolder.below(tmp_path)) == [
        {"model": "small", "quant": "native"},
        {"model": "large", "quant": "native"},
    ]
    job_folder(tmp_path / "ccc", *endpoint, "model.name=small", other)
    told = [one["backend.base_url"] for one in choices(JobFolder.below(tmp_path))]
    assert told == ["one.example:8000", "two.example:8000", "two.example:8000"]


def test_a_run_is_not_named_by_its_judge(tmp_path: Path):
    judge = ("judge=absolute", "judge/model=[endpoint]", "judge.model.endpoint.base_url=http://one.example/v1")
    folder = JobFolder(job_folder(tmp_path / "a", "prompt=plain", *judge))
    assert run_name("demo_m-bf16", folder.composed, folder.environment) == "demo_m-bf16-hf prompt=plain"


def test_another_programs_answers_are_not_told_by_our_defaults(tmp_path: Path):
    for name, temperature in (("a", 0.0), ("bb", 0.7)):
        job_folder(tmp_path / name, f"sampling.temperature={temperature}", "prompt=plain")
    # What runner.jobs.imported_answers writes: names that are unknown, and beside them the defaults of this runner.
    configs = [dict(one.config) for one in JobFolder.below(tmp_path)]
    foreign = {**configs[0], "model": {**configs[0]["model"], "name": "ScanPro", "checkpoints": {}}}
    for group in ("quant", "backend", "env", "prompt", "sampling"):
        foreign[group] = {**foreign[group], "name": "unknown"}
    told = told_apart([*configs, foreign])
    assert [one["sampling.temperature"] for one in told] == ["0.0", "0.7", "unknown"]
    assert set(told[0]) == {"model", "quant", "sampling.temperature"}
    assert [besides(one) for one in told] == ["temperature 0.0", "temperature 0.7", ""]
    # Under the name of a model of the sweep it is no file of that model.
    namesake = {**foreign, "model": {**foreign["model"], "name": configs[0]["model"]["name"], "path": "elsewhere"}}
    assert set(told_apart([configs[0], namesake])[1]) == {"model", "quant"}
    # Of two of its kind what is known of one tells them apart.
    known = {**foreign, "prompt": {**foreign["prompt"], "name": "ours"}}
    assert [one["prompt"] for one in told_apart([foreign, known])] == ["unknown", "ours"]


def test_a_job_is_not_named_by_what_it_does_not_have(tmp_path: Path):
    config = dict(JobFolder.below(job_folder(tmp_path / "a"))[0].config)
    adapted = {**config, "model": {**config["model"], "adapter": "lora_7"}}
    assert [besides(one) for one in told_apart([config, adapted])] == ["without adapter", "adapter lora_7"]


def test_a_name_says_what_a_job_is_without():
    """`region` alone would read as if that job were shown a part of the page."""
    base = {"model": {"name": "m"}, "quant": {"name": "q"}}
    whole, part = told_apart([{**base, "dataset": {"region": None}}, {**base, "dataset": {"region": "answer_bbox"}}])
    assert (besides(whole), besides(part)) == ("without region", "region answer_bbox")


def test_a_note_on_most_jobs_names_the_few_others(tmp_path: Path):
    for number, noted in enumerate((["each", "alone"], ["each", "most"], ["each", "most"], ["each", "most"])):
        folder = job_folder(tmp_path / f"{number}", f"concurrency={number + 1}")
        record = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(record | {"notes": noted}))
    told = {note: names for names, note in notes(JobFolder.below(tmp_path), "все", "все, кроме {jobs}")}
    assert told["each"] == "все" and told["alone"].endswith("concurrency=1")
    assert told["most"] == f"все, кроме {told['alone']}"


def test_a_report_that_can_not_be_written_names_where_it_can(tmp_path: Path):
    job_folder(tmp_path / "sweep" / "a")
    (tmp_path / "sweep" / "report.html").mkdir()  # root may write into a read-only folder
    with pytest.raises(
        ValueError, match=r"report\.html can't be written: Is a directory; --out FILE writes it elsewhere"
    ):
        command.main([str(tmp_path / "sweep")])
    assert command.main([str(tmp_path / "sweep"), "--out", str(tmp_path / "r.html")]) == 0
    with pytest.raises(ValueError, match="/dev/full can't be written: No space left on device"):
        command.main([str(tmp_path / "sweep"), "--out", "/dev/full"])


def test_options_of_metrics_are_told_with_their_metric_and_only_where_they_were_chosen():
    base = {"model": {"name": "a"}, "quant": {"name": "bf16"}}
    plain = {**base, "metrics": {"cer": {}, "wer": {}}}
    folded = {**base, "metrics": {"cer": {"normalisation": {"case": "fold"}}}}
    assert [besides(one) for one in told_apart([plain, folded])] == ["", "cer case fold"]
    assert set(told_apart([plain, {**base, "metrics": {"cer": {}}}])[0]) == {"model", "quant"}
