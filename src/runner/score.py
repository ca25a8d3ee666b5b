"""The scoring stage of a job: answers.jsonl in, scores.jsonl and aggregates out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metrics import splits
from metrics.aggregate import Aggregate, aggregate, metric_values
from metrics.api import Metric, Score
from runner import answers


def score(
    answers_path: Path, metrics: Mapping[str, Metric], scores_path: Path, *, timed: bool = True
) -> list[Aggregate]:
    """Score all answers with all metrics, write a row for each score, and sum up.

    Figures are given overall, by class, by field, by key of structured answers, and by answerability.
    `timed=False` leaves latencies out: the answers were measured under other conditions.
    """
    cases = [answers.case(row) for row in answers.read(answers_path)]
    if not timed:
        cases = [dataclasses.replace(case, facts={**case.facts, "latency_s": None}) for case in cases]
    scores: list[Score] = []
    for metric in metrics.values():
        scores.extend(metric.score(cases))
    with scores_path.open("w", encoding="utf-8") as file:
        for one in scores:
            file.write(json.dumps(dataclasses.asdict(one), ensure_ascii=False) + "\n")
    if not cases or not metrics:
        return []
    made = list(metrics.values())
    return [
        *aggregate(cases, scores, made),
        *splits.by_part(cases, scores, made),
        *splits.by_answerability(cases, scores, made),
    ]


def values(aggregates: list[Aggregate]) -> dict[str, float]:
    """Return the aggregates under the names they are tracked by."""
    return metric_values(aggregates)


def unscored(aggregates: list[Aggregate]) -> int:
    """Count the samples that some measure of quality could not score.

    Descriptions don't count: an answer of digits alone has no share of Latin letters, and nothing is wrong with it.
    """
    overall = [one for one in aggregates if one.doc_class is None and one.measure_group == "quality"]
    return max((one.n_unscored for one in overall), default=0)


def correct(scores_path: Path) -> dict[tuple[str, int], bool]:
    """Return which answers match a reference exactly, where that metric was asked for."""
    found: dict[tuple[str, int], bool] = {}
    with scores_path.open(encoding="utf-8") as file:
        for line in file:
            row: dict[str, Any] = json.loads(line)
            if row["name"] == "exact_match" and not row["part"] and row["value"] is not None:
                found[row["sample_id"], row["repeat"]] = bool(row["value"])
    return found
