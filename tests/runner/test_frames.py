"""Jobs, answers and scores as DataFrames."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner import frames
from runner.base.errors import Refused
from tests.patience import patient
from tests.runner.job_folders import job_folder

TEXTS = ["007", "1.50", "28.09.2010", "2010-09-28", "1e3", "true", "NA", "nan", ""]


def test_jobs_have_what_was_chosen_and_what_was_measured(tmp_path: Path):
    job_folder(tmp_path / "a", "model=demo_s", **{"latency/p95_s": 0.5})
    job_folder(tmp_path / "bb", "model=demo_s", "prompt=describe")
    job_folder(tmp_path / "ccc", "model=demo_m", error="the engine died")
    found = frames.jobs(tmp_path, tmp_path / "a")
    assert found["model"].tolist() == ["demo_s", "demo_s", "demo_m"], "each once, in the order in which they ended"
    assert found["job"].is_unique and found["job"][1] == "demo_s-bf16 (describe)"
    assert found["status"].tolist() == ["finished", "finished", "failed"]
    assert found["error"].isna().tolist() == [True, True, False] and found["error"][2] == "the engine died"
    assert found["latency/p95_s"].isna().tolist() == [False, True, True], "not measured is missing, not 0"
    assert found["quality/cer"].tolist() == [0.25] * 3 and found["run_id"].isna().all()
    assert set(map(str, found.dtypes)) == {"string", "float64"}


def test_answers_and_scores_join_and_texts_stay_texts(tmp_path: Path):
    folder = job_folder(tmp_path / "a")
    first, failed = map(json.loads, (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines())
    rows = [first | {"sample_id": f"0{number}", "text": text} for number, text in enumerate(TEXTS)]
    lines = [json.dumps(row, ensure_ascii=False) for row in (*rows, failed | {"sample_id": "x"})]
    (folder / "answers.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers = frames.answers(folder)
    assert answers["answer"][:-1].tolist() == TEXTS and answers["answer"].isna().sum() == 1
    assert answers["sample_id"].tolist()[:2] == ["00", "01"]
    last = answers.iloc[-1]
    assert (last["error"], last["error_message"], last["reference"]) == ("timeout", "after 3 s", "Петров")
    assert answers["correct"].isna().all(), "of these samples none was scored"
    kinds = {name: str(kind) for name, kind in answers.dtypes.items()}
    assert kinds["latency_s"] == "float64" and kinds["prompt_tokens"] == kinds["repeat"] == "Int64"
    assert kinds["correct"] == "boolean" and kinds["answer"] == "string"
    other = job_folder(tmp_path / "bb", "model=demo_m")
    scores = frames.scores(folder, other)
    assert scores["measure"].unique().tolist() == ["exact_match"] and scores["value"].isna().sum() == 2
    (folder / "answers.jsonl").write_text("", encoding="utf-8")
    joined = frames.answers(folder, other).merge(scores, on=["job", "sample_id", "repeat"])
    assert joined["value"].tolist()[0] == 1 and joined["correct"].tolist()[0] is True and len(joined) == 2


def test_a_job_without_answers_or_scores_has_no_rows_and_the_same_columns(tmp_path: Path):
    folder = job_folder(tmp_path / "a")
    known = frames.answers(folder), frames.scores(folder)
    (folder / "answers.jsonl").unlink()
    (folder / "scores.jsonl").unlink()
    for before, now in zip(known, (frames.answers(folder), frames.scores(folder)), strict=True):
        assert len(now) == 0 and now.dtypes.equals(before.dtypes)


def test_a_source_without_a_job_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match="no job in there"):
        frames.answers(tmp_path)
    with pytest.raises(Refused, match="does not exist"):
        frames.jobs(tmp_path / "nowhere")


def test_a_job_and_its_report_import_no_pandas():
    code = "import sys, runner.__main__, runner.sweeps.sweep, runner.report.page; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=patient(120))
