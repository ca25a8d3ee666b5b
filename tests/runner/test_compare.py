"""`python -m runner.compare`: jobs by their folders, families by measure, and what can't be compared."""

import json
from pathlib import Path

import pytest

from runner.compare import against_baseline, find_jobs, main
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
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
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
    assert main([str(tmp_path), "--measure", "exact_match"]) == 0
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
    assert main([str(tmp_path), "--measure", "exact_match", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_jobs_of_one_name_are_told_apart_by_their_folder(tmp_path):
    for name in ("0_a", "1_b"):
        job(tmp_path / name, "same", {"1": 1.0, "2": 0.0})
    assert [one.name for one in find_jobs([tmp_path])] == ["same (0_a)", "same (1_b)"]
    assert main([str(tmp_path / "nothing")]) == 2
