"""Figures of confidence from a job's scores, and what the report says and draws of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metrics.registry import create
from runner.config.report_settings import ReportConfig
from runner.jobs.folder import JobFolder
from runner.report import automation, charts, loading, spoken
from runner.scoring import confidence, score
from tests.runner.job_folders import job_folder

DOCUMENTS = 400


def answers(seed: int = 0) -> list[dict[str, Any]]:
    """Answers of which every twentieth is wrong, nearly all of them with a low probability."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(DOCUMENTS):
        wrong = number % 20 == 0
        sure = random.uniform(0.3, 0.7) if wrong else random.uniform(0.8, 1.0)
        row = {"sample_id": str(number), "document": str(number), "references": ["12"], "text": "13" if wrong else "12"}
        told = {"lengths": [1, 1], "logprobs": [0.0, math.log(sure)], "problem": ""}
        rows.append(row | {"error": None, "token_logprobs": told})
    return rows


def scored(folder: Path, rows: list[dict[str, Any]], *overrides: str) -> tuple[dict[str, float], list[str]]:
    """Write the folder of a job with these answers, score it, and return its figures of confidence and the notes."""
    job_folder(folder, "metrics=[exact_match,confidence]", *overrides)
    plain = json.loads((folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()[0])
    lines = [json.dumps(plain | row, ensure_ascii=False) + "\n" for row in rows]
    (folder / "answers.jsonl").write_text("".join(lines), encoding="utf-8")
    job = JobFolder(folder)
    made = {name: create(name, options) for name, options in job.config["metrics"].items()}
    cases = list(job.cases())
    aggregates = score.score(job, cases, made)
    figures, notes = confidence.figures(job, cases, made)
    record = json.loads((folder / "metrics.json").read_text())
    record["metrics"] = score.values(aggregates) | figures
    record["notes"] = notes
    (folder / "metrics.json").write_text(json.dumps(record))
    return record["metrics"], notes


def verdict(folder: Path, language: str = "en") -> tuple[list[str], dict[str, Any]]:
    """The sentences of the verdict and the chart."""
    (one,) = loading.build(JobFolder.below(folder), ReportConfig(language=language), "title", folder).comparisons
    drawn = {name: figure for name, figure, _ in charts.draw_all(one)}
    return automation.sentences(one, spoken.decision_of(one)), drawn


def test_what_may_pass_is_a_figure_a_note_a_sentence_and_a_mark(tmp_path: Path):
    figures, notes = scored(tmp_path / "1", answers())
    assert figures["confidence/wrong"] == pytest.approx(0.05)
    assert figures["confidence/measured"] == 1
    share = figures["confidence/pass_at_5pct"]
    assert 0.9 < share <= 1
    assert 0 <= figures["confidence/aurc/ci_low"] <= figures["confidence/aurc"] <= figures["confidence/aurc/ci_high"]
    assert figures["confidence/aurc"] < 0.005, "the wrong ones come last"
    assert 0.7 < figures["confidence/pass_at_1pct"] <= 0.95 + 1e-9
    assert any("at 1% wrong answers" in note and "may pass without a person, with a probability above" in note
               for note in notes)  # fmt: skip
    sentences, drawn = verdict(tmp_path)
    assert len(sentences) == 2
    assert sentences[0].startswith("If 1% of what nobody checks may be wrong, ")
    assert "may pass without a person: those with a probability above" in sentences[0]
    line, marks = drawn["risk_coverage"]["data"]
    assert line["x"][-1] == 1 and line["y"][-1] == pytest.approx(0.05)
    assert list(marks["y"]) == [0.01, 0.05] and marks["x"][1] == pytest.approx(share)
    sentences, _ = verdict(tmp_path, "ru")
    assert sentences[0].startswith("Если среди того, что никто не проверяет, допустимо 1\u202f% ошибок")


def test_failed_answers_count_among_all_and_never_pass(tmp_path: Path):
    rows = answers()
    for row in rows[100:200]:
        row |= {"text": None, "error": {"kind": "timeout", "message": "late"}, "token_logprobs": None}
    figures, notes = scored(tmp_path / "1", rows)
    assert figures["confidence/measured"] == 0.75
    assert figures["confidence/pass_at_5pct"] <= 0.75
    assert any("not measured for 100 of 400 answers: no answer: timeout: late" in note for note in notes)


def test_too_few_documents_are_told_of_and_no_figure(tmp_path: Path):
    figures, notes = scored(tmp_path / "1", answers()[:40])
    assert not any("pass_at" in name for name in figures)
    assert any("at least 59 documents are needed, there are 40" in note for note in notes)
    sentences, _ = verdict(tmp_path)
    assert all("can't be said: there are too few documents" in sentence for sentence in sentences)


def test_a_model_that_does_not_know_what_it_knows_lets_nothing_pass(tmp_path: Path):
    rows = answers()
    for number, row in enumerate(rows):
        row["token_logprobs"]["logprobs"][1] = math.log(0.9 + (number * 7919 % 400) / 8000)
        row["text"] = "13" if number % 8 == 0 else "12"
    figures, _ = scored(tmp_path / "1", rows)
    assert figures["confidence/pass_at_5pct"] == 0.0, "measured, and nothing"
    assert "confidence/threshold_at_5pct" not in figures
    sentences, _ = verdict(tmp_path)
    assert "no answer is shown to pass" in sentences[1]


def test_nothing_measured_is_no_figure(tmp_path: Path):
    rows = [row | {"token_logprobs": None} for row in answers()]
    figures, notes = scored(tmp_path / "1", rows)
    assert {name for name in figures if name.startswith("confidence/")} == {
        "confidence/measured", "confidence/wrong", "confidence/wrong/ci_low", "confidence/wrong/ci_high",
        "confidence/wrong/by/passport", "confidence/wrong/by/passport/Фамилия",
    }  # fmt: skip
    assert figures["confidence/measured"] == 0
    assert "no log-probabilities are stored" in notes[0]
    sentences, drawn = verdict(tmp_path)
    assert sentences == [
        "Whether answers may pass without a person is not known: no confidence was measured (see the notes)."
    ]
    assert "risk_coverage" not in drawn


def test_keys_of_json_answers_have_figures_of_their_own(tmp_path: Path):
    rows = []
    for number in range(120):
        value = "12" if number % 3 else "13"
        text = json.dumps({"номер": value, "дата": "1"}, ensure_ascii=False)
        at = text.index(value)
        lengths = [at, 2, len(text) - at - 2]
        told = {"lengths": lengths, "logprobs": [0.0, -0.01 if number % 3 else -2.0, 0.0], "problem": ""}
        truth = json.dumps({"номер": "12", "дата": "1"}, ensure_ascii=False)
        row = {"sample_id": str(number), "document": str(number), "references": [truth], "text": text, "error": None}
        rows.append(row | {"token_logprobs": told})
    figures, _ = scored(tmp_path / "1", rows, "metrics=[kie,confidence]")
    assert figures["confidence/wrong"] == pytest.approx(1 / 3)
    assert figures["confidence/field/дата/pass_at_5pct"] == 1
    assert figures["confidence/field/номер/pass_at_5pct"] == pytest.approx(2 / 3, abs=0.05)
    assert figures["confidence/probability/by/passport/Фамилия.номер"] < 1
    assert figures["confidence/wrong/by/passport/Фамилия.дата"] == 0
