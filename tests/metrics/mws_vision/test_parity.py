"""Our scorers of MWS-Vision-Bench give what its own code gave (tools/mws_vision_parity.py writes and repeats this)."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from metrics.aggregate import aggregate
from metrics.api import Case, Score
from metrics.mws_vision import page_ocr
from metrics.mws_vision.overall import TASKS
from metrics.mws_vision.task import ELSEWHERE
from metrics.registry import MetricError, check_needs, create_all, measures_of_others
from mws_vision_parity import cases
from tests.metrics.test_bad_input import ODD

FIXTURE = json.loads(Path(__file__).with_name("parity.json").read_text(encoding="utf-8"))
ON_PURPOSE = {"23": "no reference"}  # no accepted answer: 0 there, no score here
FIGURES = {
    "mws_page_ocr": "image 2 text (text_recognition)",
    "mws_parsing": "image 2 markdown (element_parsing)",
    "mws_grounding": "text_grounding_basic",
    "mws_kie": "keymap (relationship_extraction)",
    "mws_vqa": "vqa (knowledge_reasoning)",
    "mws_antifraud": "antifraud (document_verification)",
}


class RecordedWordNet:
    """WordNet as far as the cases ask it: the synonyms that the comparison found (WordNet 3.0)."""

    def synsets(self, word: str) -> list[SimpleNamespace]:
        names = FIXTURE["synonyms"].get(word, [])
        return [SimpleNamespace(lemmas=lambda: [SimpleNamespace(name=lambda name=name: name) for name in names])]


@pytest.fixture
def wordnet(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page_ocr, "wordnet", RecordedWordNet)


def scored(made: list[Case], names: tuple[str, ...]) -> tuple[list, list[Score]]:
    metrics = create_all(dict.fromkeys(names))
    check_needs(metrics)
    scores = [row for metric in metrics if not hasattr(metric, "needs") for row in metric.score(made)]
    for metric in metrics:
        if hasattr(metric, "needs"):
            others = measures_of_others(metric, metrics)
            scores += list(
                metric.score_after(made, (row for row in scores if row.name in metric.needs(others)), others)
            )
    return metrics, scores


@pytest.mark.usefixtures("wordnet")
def test_each_case_scores_as_the_benchmark_scored_it():
    pytest.importorskip("jieba")
    made = cases()
    _, scores = scored(made, (*TASKS, "mws_antifraud", "mws_overall"))
    by_case: dict[str, list[Score]] = {}
    for row in scores:
        if row.name in FIGURES and (row.value is not None or not row.reason.startswith(ELSEWHERE)):
            by_case.setdefault(row.sample_id, []).append(row)
    assert len(made) >= 60 and len(FIXTURE["commit"]) == 40
    for case, their in zip(made, FIXTURE["scores"], strict=True):
        (row,) = by_case[case.sample_id]
        if case.sample_id in ON_PURPOSE:
            assert row.value is None and row.reason == ON_PURPOSE[case.sample_id] and their["score"] == 0
        elif "stops" in their:
            assert row.value is None and "the benchmark defines no score" in row.reason
        else:
            assert row.value == pytest.approx(their["score"], abs=1e-9), (case, row, their)


@pytest.mark.usefixtures("wordnet")
def test_the_figures_are_aggregated_as_there():
    pytest.importorskip("jieba")
    made = [case for case in cases() if case.sample_id not in ON_PURPOSE]
    metrics, scores = scored(made, (*TASKS, "mws_antifraud", "mws_overall"))
    figures = {one.measure: one for one in aggregate(made, scores, metrics, replicates=50) if one.doc_class is None}
    lost = FIXTURE["figures"]["vqa (knowledge_reasoning)"]
    there = sum(1 for case in made if case.field == "reasoning VQA ru")
    assert figures["mws_vqa"].value == pytest.approx(lost * (there + 1) / there, abs=1e-9), "one more 0 there"
    for name, theirs in FIGURES.items():
        if name != "mws_vqa":
            assert figures[name].value == pytest.approx(FIXTURE["figures"][theirs], abs=1e-9)
    means = [figures[name].value for name in TASKS]
    assert figures["mws_overall"].value == pytest.approx(np.mean(means), abs=1e-12)
    wanted = FIXTURE["detailed"]["overall"]["average"] + (figures["mws_vqa"].value - lost) / 5
    assert figures["mws_overall"].value == pytest.approx(wanted, abs=1e-9)
    assert figures["mws_overall"].n + figures["mws_overall"].n_unscored == len(made)
    assert figures["mws_antifraud_accuracy"].value == pytest.approx(
        FIXTURE["detailed"]["antifraud"]["balanced_accuracy"], abs=1e-9
    )
    assert figures["mws_antifraud_reason"].value == pytest.approx(
        FIXTURE["detailed"]["antifraud"]["edited_reason_score"], abs=1e-9
    )


@pytest.mark.usefixtures("wordnet")
def test_what_is_not_scored_says_why():
    failed = Case(sample_id="1", document="1", prediction=None, references=("5",), field="reasoning VQA ru")
    other = Case(sample_id="2", document="2", prediction="5", references=("5",), field="Дата")
    _, scores = scored([failed, other], (*TASKS, "mws_overall", "mws_antifraud"))
    reasons = {(row.name, row.sample_id): row.reason for row in scores}
    assert reasons["mws_vqa", "1"] == "no answer: the generation failed" == reasons["mws_overall", "1"]
    assert "another task: 'Дата'" in reasons["mws_vqa", "2"] and "another task" in reasons["mws_overall", "2"]
    assert all(row.value is None for row in scores)
    (metric,) = create_all({"mws_vqa": {"task": None}})
    assert [row.value for row in metric.score([other])] == [1.0], "null: every question"


@pytest.mark.usefixtures("wordnet")
def test_overall_needs_all_five_and_a_label_without_documents_has_no_af():
    with pytest.raises(MetricError, match="mws_grounding, mws_kie is missing"):
        check_needs(create_all(dict.fromkeys(("mws_overall", "mws_page_ocr", "mws_parsing", "mws_vqa"))))
    reference = '{"label": "original", "arguments": []}'
    alone = Case(sample_id="1", document="1", prediction='{"label": "original"}', references=(reference,))
    metrics = create_all({"mws_antifraud": {"task": None}})
    figures = {one.measure: one for one in aggregate([alone], metrics[0].score([alone]), metrics, replicates=10)}
    assert figures["mws_antifraud"].value is None and figures["mws_antifraud"].n == 1


def test_without_wordnet_the_job_is_refused(monkeypatch: pytest.MonkeyPatch):
    import nltk.corpus

    def absent() -> None:
        raise LookupError("corpora/wordnet")

    page_ocr.wordnet.cache_clear()
    monkeypatch.setattr(nltk.corpus, "wordnet", SimpleNamespace(ensure_loaded=absent))
    with pytest.raises(MetricError, match=r"nltk\.downloader wordnet"):
        create_all({"mws_page_ocr": None})


@pytest.mark.usefixtures("wordnet")
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("metric", [*TASKS[1:], "mws_page_ocr", "mws_antifraud"])
def test_any_text_is_an_answer_and_a_reference(metric: str, name: str):
    (made,) = create_all({metric: {"task": None}})
    wanted = {"mws_antifraud": '{"label": "edited", "arguments": ["дата"]}'}.get(metric, "да нет")
    for answer, reference in ((ODD[name], wanted), ("да нет", ODD[name])):
        case = Case(sample_id="1", document="1", prediction=answer, references=(reference,))
        for row in made.score([case]):
            assert row.reason if row.value is None else 0 <= row.value <= 1 + 1e-12
