"""The table "What is not scored" of docs/metrics.md, row by row, on every metric that runs in this process."""

import json
import math

import pytest

from metrics.aggregate import aggregate
from metrics.answer_tokens import AnswerTokens
from metrics.api import Case
from metrics.registry import BUILT_IN, create
from metrics.remote import WorkerMetric

from .cases import case, score
from .test_rubric import rubric

WORKERS = [name for name in BUILT_IN if isinstance(create(name), WorkerMetric)]
# Not here is what others computed or said; confidence needs tokens, or repeats, and what other metrics say. What scores
# as MWS-Vision-Bench does has rules of its own (mws_vision/test_parity.py).
HERE = [
    name for name in BUILT_IN if name not in (*WORKERS, "stored", "judge", "confidence") and not name.startswith("mws_")
]
WITHOUT_REFERENCE = ["text", "spelling", "abstention", "perplexity"]
STRUCTURED = ["structured", "kie", "page", "grounding"]  # what they read, a reference may not have
FACTS = {"latency_s": 1.0, "finish_reason": "stop", "answerable": False}
REFERENCE = {"structured": '{"a": "да нет"}', "kie": '{"a": "да нет"}', "grounding": "[0, 0, 5, 5]"}
ODD = {
    "empty": "",
    "whitespace": " \t\n\u00a0",
    "none": "None",
    "nan": "nan",
    "emoji": "😀👍🏽 🇷🇺",
    "right to left": "مرحبا بالعالم שלום",
    "mixed scripts": "Ivаnоv Иvaнов",
    "lone surrogate": "а\ud800б",
    "zero width": "\u200b\ufeff",
    "control": "\x00\x07",
    "100 kB of words": "замёрз и повторяет " * 3_000,
    "100 kB of one word": "а" * 100_000,
    "100 kB of digits": " ".join(map(str, range(17_000))),
    "braces": "{" * 50_000,
}


# Of these nothing is left to compare with: nobody sees them.
EMPTY = ("empty", "whitespace", "zero width")


def asked(metric: str, answer: str | None, *references: str, **facts) -> Case:
    return case(answer, *(references or (REFERENCE.get(metric, "да нет"),)), facts=FACTS | facts)


def test_every_metric_is_here_or_a_worker():
    assert WORKERS == ["perplexity", "bleurt", "hf_evaluate"]
    assert len(HERE) == 15


@pytest.mark.parametrize("metric", HERE)
@pytest.mark.parametrize("name", ODD)
def test_any_text_is_an_answer_and_has_a_finite_score_or_a_reason(metric, name):
    for one in score(metric, asked(metric, ODD[name])).values():
        assert one.reason if one.value is None else math.isfinite(one.value)
        if metric not in ("text", "abstention", *STRUCTURED):
            assert one.value is not None


@pytest.mark.parametrize("name", ODD)
def test_any_text_has_a_confidence_if_its_tokens_are_known(name):
    text = ODD[name]
    tokens = AnswerTokens.of([len(text)], [-0.1]) if text else AnswerTokens.of([], [])
    for one in score("confidence", asked("confidence", text, token_logprobs=tokens)).values():
        assert one.value is not None or (one.name, text, one.reason) == ("probability", "", "the answer has no tokens")
        assert one.value is None or math.isfinite(one.value)


@pytest.mark.parametrize("metric", [name for name in HERE if name not in (*WITHOUT_REFERENCE, *STRUCTURED)])
@pytest.mark.parametrize("name", [name for name in ODD if name not in (*EMPTY, "100 kB of digits", "braces")])
def test_any_text_is_a_reference(metric, name):
    made = score(metric, asked(metric, "да нет", ODD[name])).values()
    if metric != "rouge":
        assert all(one.value is not None for one in made)
    assert all(one.value is not None or "words in the reference" in one.reason for one in made)


@pytest.mark.parametrize("metric", [name for name in HERE if name not in (*WITHOUT_REFERENCE, *STRUCTURED)])
@pytest.mark.parametrize("name", EMPTY)
def test_what_nobody_sees_is_no_reference(metric, name):
    made = score(metric, asked(metric, "да нет", ODD[name])).values()
    assert {(one.value, one.reason) for one in made} == {(None, "empty reference")}


@pytest.mark.parametrize("name", ODD)
def test_any_text_can_be_shown_to_a_judge(name):
    asked = rubric().ask(case(ODD[name], "да нет", rival=ODD[name], question=ODD[name]), 1)
    json.dumps(asked, ensure_ascii=False).encode()
    assert len(str(asked)) < 3 * 25_000


@pytest.mark.parametrize("metric", HERE)
def test_a_failed_generation_is_unscored_with_its_reason(metric):
    scores = score(metric, asked(metric, None, failure="timeout")).values()
    assert {(one.value, one.reason) for one in scores} == {(None, "no answer: timeout")}
    assert len(scores) == len(create(metric).measures)


@pytest.mark.parametrize("metric", WORKERS)
def test_workers_are_not_asked_about_what_can_not_be_scored(metric):
    made = create(metric)
    assert made.items(asked(metric, None, failure="timeout")) == ("no answer: timeout", [])
    if metric not in WITHOUT_REFERENCE:
        assert made.items(case("да")) == ("no reference", [])
        assert made.items(case("да", " ")) == ("empty reference", [])


@pytest.mark.parametrize("metric", [name for name in HERE if name not in WITHOUT_REFERENCE])
def test_missing_references_are_unscored_for_one_and_for_all(metric):
    cases = [case("да", sample_id="1"), case("да", "", " \n", sample_id="2")]
    made = create(metric)
    scores = list(made.score(cases))
    assert [one.reason for one in scores if one.name == made.measures[0].name] == ["no reference", "empty reference"]
    for figure in aggregate(cases, scores, [made], replicates=5):
        assert (figure.value, figure.ci_low, figure.n, figure.n_unscored) == (None, None, 0, 2)


@pytest.mark.parametrize("metric", [name for name in WITHOUT_REFERENCE if name in HERE])
def test_metrics_without_reference_score_all_the_same(metric):
    made = {one.name: one for one in create(metric).score([case("да", facts=FACTS)])}
    assert made[create(metric).measures[0].name].value is not None


@pytest.mark.parametrize("metric", HERE)
def test_doubled_ids_and_ids_on_one_side_are_errors_that_name_them(metric):
    cases = [asked(metric, "да")]
    made = create(metric)
    scores = list(made.score(cases))
    with pytest.raises(ValueError, match="1 cases share sample_id"):
        aggregate(cases * 2, scores, [made])
    with pytest.raises(ValueError, match=r"'a'.*scored twice"):
        aggregate(cases, scores * 2, [made])
    with pytest.raises(ValueError, match=r"'a'.*no such case"):
        aggregate([case("да", sample_id="b")], scores, [made])
    with pytest.raises(ValueError, match="neither score nor reason, such as 'a'"):
        aggregate(cases, [], [made])
