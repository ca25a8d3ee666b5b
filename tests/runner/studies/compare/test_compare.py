"""`python -m runner.compare`: jobs by their folders, families by measure, and what can't be compared."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from metrics.registry import create
from runner import commands
from runner.studies.compare.command import _CompareCommand
from runner.studies.compare.jobs import find_jobs
from runner.studies.compare.paired_tests import against_baseline
from tests.runner.job_folders import job_folder


def job(folder: Path, name: str, values: dict[str, float | None], version: str = "1") -> Path:
    """A job with an exact match for each sample; each sample is a document."""
    job_folder(folder, "metrics=[exact_match]")
    answer = json.loads((folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()[0])
    answers = [answer | {"sample_id": sample, "document": sample} for sample in values]
    scores = [
        {"sample_id": sample, "repeat": 0, "name": "exact_match", "value": value,
         "stats": [] if value is None else [value, 1.0], "reason": "" if value is not None else "lost"}
        for sample, value in values.items()
    ]  # fmt: skip
    for file, rows in (("answers.jsonl", answers), ("scores.jsonl", scores)):
        (folder / file).write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
        )
    environment = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps(environment | {"metric_versions": {"exact_match": version}}))
    record = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(record | {"name": name}))
    return folder


def test_right_and_wrong_on_single_answers_is_mcnemar(tmp_path, capsys):
    samples = [str(number) for number in range(20)]
    job(tmp_path / "a", "base", dict.fromkeys(samples, 0.0))
    job(tmp_path / "b", "good", {name: float(int(name) < 12) for name in reversed(samples)})
    job(tmp_path / "c", "same", dict.fromkeys(samples, 0.0))
    job(tmp_path / "d", "dead", dict.fromkeys(samples))
    made = {one.paired.candidate: one for one in against_baseline(find_jobs([tmp_path]), "base", "exact_match")}
    assert {name: one.word for name, one in made.items()} == {"good": "better", "same": "not distinguishable"}
    assert made["good"].test == "McNemar, exact"
    assert made["good"].p == pytest.approx(2**-11)
    assert commands.run("compare", [str(tmp_path), "--measure", "exact_match"]) == 0
    assert "good against base: better by exact_match (0.600 against 0.000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--baseline", "nobody"], "no job is called 'nobody'; jobs: base, other"),
        (["--measure", "cer"], "base has no measure 'cer'; it has: exact_match"),
        ([], "another version of exact_match"),
        (["--confidence", "2"], "confidence must lie between 0 and 1"),
    ],
)
def test_what_can_t_be_compared(tmp_path, capsys, arguments, said):
    other_version = "2" if not arguments or "nobody" in arguments else "1"
    job(tmp_path / "a", "base", {"1": 1.0, "2": 0.0})
    job(tmp_path / "b", "other", {"1": 1.0, "2": 1.0}, version=other_version)
    assert commands.run("compare", [str(tmp_path), "--measure", "exact_match", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_measure_of_two_versions_is_left_out_and_the_others_are_compared(tmp_path, capsys):
    for name, version in (("base", "1"), ("other", "2")):
        folder = job(tmp_path / name, name, {"1": 1.0, "2": 0.0})
        rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines()]
        both = [*rows, *({**row, "name": "found", "stats": [row["value"], 1.0]} for row in rows)]
        (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in both), encoding="utf-8")
        environment = json.loads((folder / "environment.json").read_text())
        environment["metric_versions"] = {"exact_match": version, "found": "1"}
        (folder / "environment.json").write_text(json.dumps(environment))
        config = (folder / "config.yaml").read_text(encoding="utf-8")
        (folder / "config.yaml").write_text(config.replace("exact_match: {}", "exact_match: {}\n  found: {}"), "utf-8")
        record = json.loads((folder / "metrics.json").read_text())
        record["metrics"] |= {"quality/exact_match": 0.5, "quality/found": 0.5}
        (folder / "metrics.json").write_text(json.dumps(record))
    assert commands.run("compare", [str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "exact_match is not compared: other was scored by another version of exact_match than base: 2 and 1" in shown
    assert "other against base: not distinguishable by found" in shown
    assert "quality/found" in shown and "quality/exact_match" not in shown and "samples by found" in shown
    for asked in (["--measure", "exact_match"], ["--fail-if", "quality/exact_match>+0.01"]):
        assert commands.run("compare", [str(tmp_path), *asked]) == 2
        assert "another version of exact_match" in capsys.readouterr().err


def test_jobs_of_one_name_are_told_apart_by_their_folder(tmp_path):
    for name in ("0_a", "1_b"):
        job(tmp_path / name, "same", {"1": 1.0, "2": 0.0})
    assert [one.name for one in find_jobs([tmp_path])] == ["same (0_a)", "same (1_b)"]
    assert commands.run("compare", [str(tmp_path / "nothing")]) == 2


def test_what_differs_is_shown_and_written(tmp_path, capsys):
    job(tmp_path / "a", "base", {"1": 1.0, "2": 1.0, "3": 0.0})
    job(tmp_path / "b", "other", {"1": 1.0, "2": 0.0, "3": 1.0})
    answers = tmp_path / "b" / "answers.jsonl"
    text = answers.read_text(encoding="utf-8")
    answers.write_text(text.replace('"text": "Петров"', '"text": "=cmd|\' /C calc\'!A0"'), encoding="utf-8")
    (tmp_path / "b" / "config.yaml").write_text(
        (tmp_path / "b" / "config.yaml").read_text().replace("concurrency: 1", "concurrency: 4")
    )
    given = [str(tmp_path / "a"), str(tmp_path / "b"), "--changed", str(tmp_path / "changed.csv")]
    assert commands.run("compare", given) == 0
    out = capsys.readouterr().out
    assert "concurrency" in out and "1 worse, 1 better, 1 same score" in out
    assert "Напиши Фамилия" in out and "calc" in out
    rows = (tmp_path / "changed.csv").read_text(encoding="utf-8-sig").splitlines()
    assert rows[0].split(";")[:4] == ["baseline", "candidate", "change", "sample_id"]
    assert [row.split(";")[2] for row in rows[1:]] == ["worse", "better", "same score"]
    assert all(";'=cmd|" in row for row in rows[1:]), "no spreadsheet runs an answer"


def test_two_sweeps_pair_the_jobs_that_were_chosen_alike(tmp_path, capsys):
    for sweep, value in (("first", 0.0), ("second", 1.0)):
        for name in ("demo_s", "demo_m"):
            folder = job(tmp_path / sweep / name, f"{name}-bf16", dict.fromkeys(map(str, range(12)), value))
            config = folder / "config.yaml"
            config.write_text(config.read_text().replace("name: demo_m", f"name: {name}"))
    assert commands.run("compare", [str(tmp_path / "first"), str(tmp_path / "second")]) == 0
    out = capsys.readouterr().out
    for name in ("demo_s", "demo_m"):
        assert f"{name}-bf16 (second/{name}) against {name}-bf16 (first/{name}): better by exact_match" in out
    assert "over the 2 comparisons" in out, "one family"
    # A job without a counterpart is said, and no gate passes over it.
    gone = tmp_path / "second" / "demo_s" / "config.yaml"
    gone.write_text(gone.read_text().replace("name: demo_s", "name: another"))
    assert commands.run("compare", [str(tmp_path / "first"), str(tmp_path / "second")]) == 0
    assert "only in the first: model=demo_s" in capsys.readouterr().out
    assert (
        commands.run(
            "compare", [str(tmp_path / "first"), str(tmp_path / "second"), "--fail-if", "quality/exact_match<0"]
        )
        == 2
    )


def job_with_figures(folder: Path, name: str, values: dict[str, float | None], **figures: float) -> Path:
    job(folder, name, values)
    record = json.loads((folder / "metrics.json").read_text())
    scored = [value for value in values.values() if value is not None]
    metrics = {"quality/exact_match": sum(scored) / len(scored), "samples/failed": 0, "latency/p95_s": 1.0} | figures
    (folder / "metrics.json").write_text(json.dumps(record | {"metrics": metrics}))
    return folder


@pytest.mark.parametrize(
    ("condition", "code", "said"),
    [
        ("quality/exact_match<-0.2", 1, "FAILED  --fail-if 'quality/exact_match<-0.2': cand against base: -0.3"),
        ("quality/exact_match<-0.4", 0, "passed"),
        ("quality/exact_match < -0.30", 0, "passed"),
        ("quality/exact_match<=-0.30", 1, "FAILED"),
        ("quality/exact_match<-20%", 1, "(-30.0%)"),
        ("quality/exact_match<0 significantly", 1, "on 20 samples"),
        ("quality/exact_match<-0.25 significantly", 0, "passed"),
        ("latency/p95_s>+10%", 1, "cand against base: +0.5 (+50.0%), 1 -> 1.5"),
        ("candidate(latency/p95_s)>2", 0, "passed"),
        ("candidate(latency/p95_s)>1.2", 1, "cand: 1.5"),
        ("quality/cerr>+0.01", 2, "no such metric: quality/cerr; cand has: latency/p95_s, quality/exact_match"),
        ("memory/gpu_peak_gib>+1", 2, "no such metric"),
        ("latency/p95>+10%", 2, "no such metric: latency/p95; did you mean latency/p95_s?"),
        ("samples/failed>+10%", 2, "base has 0: there is no share of that"),
        ("latency/p95_s>0 significantly", 2, "there is no interval of this difference"),
        ("quality/exact_match+0.01", 2, "is no condition; such as"),
        ("quality/exact_match>-", 2, "is no condition"),
        ("quality/exact_match>+5% significantly", 2, "leave out %"),
    ],
)
def test_gates(tmp_path, capsys, condition, code, said):
    samples = [str(number) for number in range(20)]
    job_with_figures(tmp_path / "a", "base", dict.fromkeys(samples, 1.0))
    slow = {"latency/p95_s": 1.5}
    job_with_figures(tmp_path / "b", "cand", {name: float(int(name) > 5) for name in samples}, **slow)
    assert commands.run("compare", [str(tmp_path / "a"), str(tmp_path / "b"), "--fail-if", condition]) == code
    captured = capsys.readouterr()
    assert said in (captured.out if code == 0 else captured.err)


def test_no_gate_passes_over_what_was_lost(tmp_path, capsys):
    samples = [str(number) for number in range(20)]
    job_with_figures(tmp_path / "a", "base", dict.fromkeys(samples, 1.0))
    job_with_figures(tmp_path / "b", "cand", {name: None if name == "7" else 1.0 for name in samples})
    gate = ["--fail-if", "quality/exact_match<-0.01"]
    assert commands.run("compare", [str(tmp_path / "a"), str(tmp_path / "b"), *gate]) == 2
    assert "1 samples that base has a score for have none in cand (7)" in capsys.readouterr().err
    assert commands.run("compare", [str(tmp_path / "a"), str(tmp_path / "b"), *gate, "--allow-unscored", "1"]) == 0
    # One gate of two fails: the command fails. A candidate that has not finished is no candidate.
    latency = ["--fail-if", "latency/p95_s>-0.1"]
    assert (
        commands.run("compare", [str(tmp_path / "a"), str(tmp_path / "b"), *gate, "--allow-unscored", "1", *latency])
        == 1
    )
    record = json.loads((tmp_path / "b" / "metrics.json").read_text())
    (tmp_path / "b" / "metrics.json").write_text(json.dumps(record | {"status": "failed", "error": "it died\nso"}))
    capsys.readouterr()
    assert commands.run("compare", [str(tmp_path / "a"), str(tmp_path / "b"), *latency]) == 2
    assert "cand has not finished, it is failed: it died" in capsys.readouterr().err


def test_help_imports_nothing_slow():
    code = "import sys, runner.commands as m\ntry: m.run('compare', ['--help'])\nexcept SystemExit: pass\n"
    code += "print([name for name in ('numpy', 'pandas', 'mlflow', 'torch') if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]" and "--fail-if" in ended.stdout


def test_the_length_of_an_answer_does_not_say_that_it_got_better():
    length, cer = create("text").measures[0], create("cer").measures[0]
    measures = {"length_mean": ("text", None, length), "cer": ("cer", None, cer)}
    job = SimpleNamespace(name="a", measures=measures)
    asked = SimpleNamespace(options=SimpleNamespace(measure=["length_mean"]), verdicts={"length_mean": {}})
    asked.incomparable = set()
    assert length.better == "neither" and _CompareCommand._leading(asked, job, job) == "cer"
    del job.measures["cer"]
    assert _CompareCommand._leading(asked, job, job) is None
