"""Plans of VLMHyperBench are read strictly: a mistake names row and column, and a cell is never code."""

from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.sweeps.plan_csv.rows import LIST, read_runs

HEADER = (
    "dataset;task;framework;model_name;system_prompt;prompt_collection;metrics;only_evaluate_metrics;"
    "metrics_aggregators;filter_doc_class;filter_question_type"
)
GOOD = "demo_mini;VQA;Hugging Face;Qwen2-VL-2B-Instruct;;demo_mini/a.csv;['CER', 'WER'];False;['by_id', 'general'];;"
BASE = "framework;model_family;model_name\nHugging Face;Qwen2-VL;Qwen2-VL-2B-Instruct\n"


@pytest.fixture
def plan(tmp_path: Path):
    def write(*rows: str, header: str = HEADER) -> Path:
        path = tmp_path / "user_config.csv"
        path.write_text("\ufeff" + "\n".join([header, *rows]), encoding="utf-8")
        return path

    return write


def test_a_row_as_vlmhyperbench_writes_it(plan):
    (run,) = read_runs(plan(GOOD + "Фамилия"), None)
    assert (run.dataset, run.backend, run.model_name) == ("demo_mini", "hf", "Qwen2-VL-2B-Instruct")
    assert run.metrics == ("cer", "wer") and not run.only_evaluate
    assert (run.doc_class, run.field) == ("", "Фамилия")
    assert run.where.endswith("user_config.csv:2")


@pytest.mark.parametrize(
    ("column", "before", "after", "told"),
    [
        ("metrics", "['CER', 'WER']", "['CER', 'MAGIC']", "'MAGIC' is unknown"),
        ("metrics", "['CER', 'WER']", "[CER]", "is no list"),
        ("metrics", "['CER', 'WER']", "__import__('os').system('touch evaluated')", "is no list"),
        ("metrics", "['CER', 'WER']", "[open('evaluated','w')]", "is no list"),
        ("metrics_aggregators", "['by_id', 'general']", "['by_moon']", "'by_moon' is unknown"),
        ("only_evaluate_metrics", "False", "perhaps", "'perhaps' is no truth value"),
        ("framework", "Hugging Face", "llama.cpp", "'llama.cpp' is unknown"),
        ("task", "VQA", "OCR", "'OCR' can't be run here"),
        ("model_name", "Qwen2-VL-2B-Instruct", "Qwen9", "vlm_base.csv has no 'Qwen9'"),
        ("model_name", "Qwen2-VL-2B-Instruct", "", "it is empty"),
        ("filter_doc_class", "'general'];;", "'general'];${oc.env:HOME};", "${"),
    ],
)
def test_a_mistake_names_row_and_column(plan, tmp_path, column, before, after, told, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vlm_base.csv").write_text(BASE, encoding="utf-8")
    assert before in GOOD
    with pytest.raises(Refused) as refused:
        read_runs(plan(GOOD, GOOD.replace(before, after, 1)), tmp_path / "vlm_base.csv")
    (problem,) = refused.value.problems
    assert problem.where == "user_config.csv:3"
    assert problem.what.startswith(f"column {column}: ") and told in problem.what
    assert not (tmp_path / "evaluated").exists()


def test_only_evaluating_nothing_is_a_mistake(plan):
    row = GOOD.replace("['CER', 'WER'];False", ";True")
    with pytest.raises(Refused, match="column metrics: it is empty"):
        read_runs(plan(row), None)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (HEADER.replace("metrics;only", "metric;only"), "column metrics is missing"),
        (HEADER.replace("filter_doc_class", "filter_question_type"), "column filter_question_type is there twice"),
        (HEADER.replace("filter_doc_class", "filter"), "column filter is unknown"),
        (HEADER.replace(";", ","), "separated by commas"),
    ],
)
def test_a_wrong_header(plan, header, told):
    with pytest.raises(Refused, match=told):
        read_runs(plan(GOOD, header=header), None)


def test_a_row_with_too_few_cells_is_named(plan):
    with pytest.raises(Refused, match=r"user_config\.csv:3.*4 cells"):
        read_runs(plan(GOOD, "demo_mini;VQA;Hugging Face;Qwen2-VL-2B-Instruct"), None)


def test_all_mistakes_come_at_once(plan):
    rows = [GOOD.replace("False", "perhaps"), GOOD.replace("VQA", "OCR"), "x;y"]
    with pytest.raises(Refused) as refused:
        read_runs(plan(*rows), None)
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize("text", ["[]", "['a']", "[\"a\", 'b',]", "[ 'a' , 'b' ]"])
def test_lists(text):
    assert LIST.fullmatch(text)


@pytest.mark.parametrize("text", ["['a' 'b']", "['a', b]", "['a'", "('a',)", "[,]", "['a', ['b']]"])
def test_no_lists(text):
    assert not LIST.fullmatch(text)
