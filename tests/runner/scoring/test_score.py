import json

import pytest

from metrics.registry import create_all
from runner.jobs.folder import JobFolder
from runner.scoring.score import score, unscored, values


def row(number: int, text: str | None, reference: str, **more) -> dict:
    return {
        "sample_id": str(number),
        "repeat": 0,
        "document": f"{number}.png",
        "doc_class": "счёт",
        "field": "",
        "question": "?",
        "references": [reference],
        "images": [],
        "answerable": None,
        "error": None if text is not None else {"kind": "timeout", "message": "late"},
        "text": text,
        "timing": {"latency_s": 0.5},
        "finish_reason": "stop",
    } | more


@pytest.fixture
def scored(tmp_path):
    def run(rows: list[dict], *metrics: str, **options):
        lines = "".join(json.dumps(one) + "\n" for one in rows)
        (tmp_path / "answers.jsonl").write_text(lines, encoding="utf-8")
        made = dict(zip(metrics, create_all(dict.fromkeys(metrics)), strict=True))
        folder = JobFolder(tmp_path)
        return score(folder, list(folder.cases()), made, **options)

    return run


def test_latencies_of_other_conditions_give_no_speed(scored):
    rows = [row(1, "1234", "1234"), row(2, "12", "34")]
    assert values(scored(rows, "text"))["text/chars_per_s"] == 6
    untimed = values(scored(rows, "text", timed=False))
    assert untimed["text/length_mean"] == 3
    assert not [name for name in untimed if "chars_per_s" in name]


def test_descriptions_that_have_no_meaning_are_not_counted_as_unscored(scored):
    rows = [row(1, "1234", "1234"), row(2, "12", "34")]
    assert unscored(scored(rows, "text", "cer")) == 0  # digits have no share of Latin letters
    assert unscored(scored([*rows, row(3, None, "5")], "text", "cer")) == 1


def test_a_job_has_figures_by_key_and_by_answerability(scored):
    rows = [row(1, '{"Итог": "5"}', '{"Итог": "5"}', answerable=True), row(2, "нет", '{"Итог": "6"}', answerable=False)]
    figures = values(scored(rows, "structured", "abstention"))
    assert figures["quality/json_match/by/счёт/Итог"] == 0.5
    assert figures["quality/json_match/by/answerable_true"] == 1
    assert figures["quality/json_match/by/answerable_false"] == 0
    assert figures["answerability/hallucination"] == 0


def test_scoring_that_fails_half_way_leaves_the_older_scores_and_nothing_else(scored, tmp_path):
    rows = [row(1, "1234", "1234"), row(2, "12", "34")]
    scored(rows, "exact_match")
    before = (tmp_path / "scores.jsonl").read_text()
    broken = create_all({"cer": None})[0]
    broken.score = lambda cases: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    metrics = dict(zip(("text", "cer"), (create_all({"text": None})[0], broken), strict=True))
    with pytest.raises(OSError, match="No space left"):
        score(JobFolder(tmp_path), list(JobFolder(tmp_path).cases()), metrics)
    assert (tmp_path / "scores.jsonl").read_text() == before
    assert not list(tmp_path.glob("*.tmp"))
