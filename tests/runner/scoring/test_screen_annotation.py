"""The published comparison of eight Qwen2-VL variants, recomputed from their real answers by `stage=score`.

expected.json is the recomputed truth, with the rules of aggregation. What it holds of letters, English words and
offline ROUGE tokenizers belongs to metrics of their own; here is what comes from time, length, judge and columns.
"""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

from tests.conftest import CommandLine

TABLES = {
    "judgement_scores.xlsx": "screen_annotation_judge",
    "auto_metrics_stats.xlsx": "screen_annotation_metrics",
    "summary_test_stats.xlsx": "screen_annotation_summary",
}


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict:
    return json.loads((shared / "screen_annotation" / "expected.json").read_text(encoding="utf-8"))["models"]


@pytest.fixture(scope="module")
def jobs(shared, tmp_path_factory, make_cli) -> dict[str, dict[str, Path]]:
    """The job folders: by table, then by model."""
    found = {}
    for name, experiment in TABLES.items():
        cli: CommandLine = make_cli(tmp_path_factory.mktemp(Path(name).stem))
        table = shared / "screen_annotation" / name
        ended = cli(f"experiment={experiment}", f"answers={table}")
        assert ended.code == 0, ended.err
        found[name] = {path.parent.name: path.parent for path in cli.folder.glob("outputs/**/metrics.json")}
        assert len(found[name]) == 8
    return found


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def general(folder: Path) -> dict[str, dict[str, float]]:
    with (folder / "scores_general.csv").open(encoding="utf-8-sig", newline="") as file:
        return {
            row["measure"]: {name: float(cell) for name, cell in row.items() if name != "measure" and cell}
            for row in csv.DictReader(file, delimiter=";")
        }


def test_time_length_and_speed(jobs, expected):
    for model, folder in jobs["summary_test_stats.xlsx"].items():
        truth, answers = expected[model]["tech"], rows(folder)
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"]
        times, lengths = [row["timing"]["latency_s"] for row in answers], [len(row["text"]) for row in answers]
        assert (metrics["samples/total"], metrics["samples/failed"]) == (truth["n"], truth["failures"])
        assert metrics["latency/mean_s"] == pytest.approx(truth["avg_time"])
        assert metrics["latency/p50_s"] == pytest.approx(truth["median_time"])
        assert metrics["text/length_mean"] == pytest.approx(truth["avg_length"])
        assert sum(lengths) == truth["sum_chars"]
        assert sum(lengths) / sum(times) == pytest.approx(truth["chars_per_sec_ratio_of_sums"])
        published = truth["avg_chars_per_sec_mean_of_row_ratios"]
        rounded = [round(length / round(time, 1), 1) for length, time in zip(lengths, times, strict=True)]
        # Halves are rounded up in the table and to even here: single rows may differ by 0.1.
        assert statistics.mean(rounded) == pytest.approx(published, abs=0.01)
        assert general(folder)["chars_per_s"]["value"] == pytest.approx(published)
        assert metrics["text/chars_per_s"] == pytest.approx(published, abs=0.05)


def test_judge_ratios_with_their_outlier_rule(jobs, expected):
    for model, folder in jobs["judgement_scores.xlsx"].items():
        truth, found = expected[model]["judge"], general(folder)["judge_ratio"]
        assert (found["n"], found["n_unscored"]) == (truth["count"], truth["outliers_dropped"])
        assert found["value"] == pytest.approx(truth["avg_match_ratio"])
        assert found["std"] == pytest.approx(truth["std_match_ratio"])
        assert found["naive_ci95_halfwidth"] == pytest.approx(truth["ci95_halfwidth_exact"])
        rounded = 1.96 * round(found["std"], 2) / math.sqrt(found["n"])
        assert rounded == pytest.approx(truth["ci95_halfwidth_as_notebook_rounded_std"])
        assert general(folder)["judge_ratio_all"]["value"] == pytest.approx(truth["avg_match_ratio_keep_all"])
        kept = [row["columns"] for row in rows(folder) if scored(folder)[row["sample_id"], row["repeat"]]]
        candidate, reference = (
            statistics.mean(float(row[name]) for row in kept) for name in ("Candidate_Score", "Reference_Score")
        )
        assert candidate == pytest.approx(truth["avg_candidate"])
        assert reference == pytest.approx(truth["avg_reference"])
        assert candidate / reference == pytest.approx(truth["ratio_of_means"])


def scored(folder: Path) -> dict[tuple[str, int], bool]:
    lines = map(json.loads, (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines())
    return {
        (row["sample_id"], row["repeat"]): row["value"] is not None for row in lines if row["name"] == "judge_ratio"
    }


def test_stored_columns_are_taken_over(jobs, expected):
    for model, folder in jobs["auto_metrics_stats.xlsx"].items():
        for name, found in general(folder).items():
            truth = expected[model]["auto"][name]
            assert (found["n"], found["n_unscored"]) == (truth["n"], 0)
            assert (found["value"], found["std"]) == pytest.approx((truth["mean"], truth["std"]))
    for model, folder in jobs["summary_test_stats.xlsx"].items():
        truth, found = expected[model], general(folder)
        perplexity = found["perplexity"]
        names = {"value": "mean", "std": "std", "median": "median", "geometric_mean": "geomean"}
        for ours, theirs in names.items():
            assert perplexity[ours] == pytest.approx(truth["auto"]["perplexity"][theirs])
        assert found["spelling_errors"]["total"] == truth["tech"]["sum_spelling_errors"]
        assert found["foreign_letters"]["total"] == truth["tech"]["sum_foreign_letters"]


def test_the_two_swapped_columns_are_named(jobs, expected):
    """Which stored column reproduces a published label, for every model, to the two digits published?"""
    explains = defaultdict(set)
    for label in ("rouge1", "bleurt"):
        for column in ("rouge1", "rouge2", "rougeL", "bleurt"):
            if all(
                general(folder)[column]["value"] == pytest.approx(expected[model]["published"]["auto"][key], abs=0.0051)
                for model, folder in jobs["auto_metrics_stats.xlsx"].items()
                for key in [f"LABEL_{label}_mean"]
            ):
                explains[label].add(column)
    assert dict(explains) == {"rouge1": {"bleurt"}, "bleurt": {"rouge1"}}


def test_verdicts_against_the_7b_baseline(jobs, make_cli, tmp_path):
    folders = jobs["judgement_scores.xlsx"]
    root = next(iter(folders.values())).parent
    ended = make_cli(tmp_path)(
        str(root), "--baseline", "Qwen2-VL-7B-Instruct", "--measure", "judge_ratio", module="runner.compare"
    )
    assert ended.code == 0, ended.err
    said = {
        line.split(" against ")[0]: line for line in ended.out.splitlines() if ": " in line and " against Qwen" in line
    }
    assert len(said) == 7
    for model, line in said.items():
        assert ("worse by" if "2B" in model else "not distinguishable by") in line
        assert "on 10 documents" in line and "beside it Wilcoxon's signed-rank test, exact" in line
        assert "after Holm over the 7 comparisons of 'candidates against Qwen2-VL-7B-Instruct by judge_ratio'" in line
        assert "95% confidence" in line
    assert "documents would settle" in said["Qwen2-VL-7B-Instruct-AWQ"]
