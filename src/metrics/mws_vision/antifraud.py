"""Documents that were changed (the anti-fraud set, `antifraud ru`): original, edited by hand, or made by a model.

answer '{"label": "edited", "arguments": "изменена дата"}', reference '{"label": "edited", "arguments": ["дата"]}'
->  right, and for a right reason
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.api import Case, Measure, Score
from metrics.mws_vision.task import SOURCE, TaskMetric
from metrics.mws_vision.vqa import similarity

if TYPE_CHECKING:
    from metrics.api import Array

TASK = "antifraud ru"
LABELS = ("ai_gen", "edited", "original")
_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL)
_CHANCE = 1 / 3


class Antifraud(TaskMetric):
    """AF v0.1 = 0.75 x max(0, balanced accuracy - 1/3) + 0.5 x mean score of the reasons for edited documents.

    References are `{"label": "edited", "arguments": ["…"]}`, where `arguments` are accepted reasons, of edited
    documents alone. A reason is scored as an answer to a question (`mws_vqa`), whether the label is right or not.
    Balanced accuracy is the mean of the recalls of the three labels; where one has no document, AF is undefined and so
    absent (get_score_ru.py takes its recall for 0 there). Of a single answer the value says whether the label is right.
    """

    measures = (
        Measure("mws_antifraud", "higher", "mean", 0, 1, "0.75 max(0, accuracy - 1/3) + reasons / 2", SOURCE),
        Measure("mws_antifraud_accuracy", "higher", "mean", 0, 1, "mean of the recalls of the three labels", SOURCE),
        Measure("mws_antifraud_reason", "higher", "mean", 0, 1, "mean score of reasons of edited documents", SOURCE),
    )

    def __init__(self, task: str | None = TASK) -> None:
        super().__init__(task)

    def _unscorable(self, case: Case) -> str:
        if reason := super()._unscorable(case):
            return reason
        return "" if _reference(case.references[0]) else f"the reference names none of {', '.join(LABELS)}"

    def _scores(self, case: Case, answer: str) -> Iterator[Score]:
        wanted = _reference(case.references[0])
        assert wanted is not None
        label, accepted = wanted
        given, arguments = read_answer(answer)
        right = float(given == label)
        counts = [value for name in LABELS for value in ((right, 1.0) if name == label else (0.0, 0.0))]
        edited = label == "edited"
        reason = similarity(arguments, accepted) if edited and accepted else 0.0
        told = f"{given or 'no label'}, wanted {label}" + (f"; reason {reason:.2f}" if edited else "")
        for measure in self.measures[:2]:
            yield Score(case.sample_id, case.repeat, measure.name, right, (*counts, reason), detail=told)
        name = self.measures[2].name
        if edited:
            yield Score(case.sample_id, case.repeat, name, reason, (reason, 1.0), detail=told)
        else:
            yield Score(case.sample_id, case.repeat, name, None, reason="no edited document: no reason is asked for")

    def combine(self, name: str, totals: Array) -> Array:
        """Turn summed statistics into figures: (right, number) for each label and reasons, or (reasons, number)."""
        if name == self.measures[2].name:
            return super().combine(name, totals)
        right, number, reasons = totals[..., 0:6:2], totals[..., 1:6:2], totals[..., 6]
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracy: Array = (right / number).mean(axis=-1)  # NaN where a label has no document
            if name == self.measures[1].name:
                return accuracy
            edited = number[..., LABELS.index("edited")]
            figure: Array = np.clip(0.75 * np.maximum(0.0, accuracy - _CHANCE) + 0.5 * reasons / edited, 0.0, 1.0)
        return figure


def read_answer(text: str) -> tuple[str | None, str]:
    """Return label and arguments of an answer; (None, "") where it holds no JSON object, None for no known label."""
    content = _THINKING.sub("", text).strip()
    if content.startswith("```"):
        lines = content.splitlines()
        content = "\n".join(lines[1:-1] if lines[-1].strip() == "```" else lines[1:])
    read = _parsed(content)
    if read is None and (first := content.find("{")) < (last := content.rfind("}")) and first != -1:
        read = _parsed(content[first : last + 1])
    if not isinstance(read, dict):
        return None, ""
    label = str(read.get("label", "")).strip().lower()
    return (label if label in LABELS else None), str(read.get("arguments", "")).strip()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _reference(text: str) -> tuple[str, list[str]] | None:
    read = _parsed(text)
    if not isinstance(read, dict) or read.get("label") not in LABELS:
        return None
    reasons = read.get("arguments") or []
    return str(read["label"]), [str(one) for one in (reasons if isinstance(reasons, list) else [reasons])]
