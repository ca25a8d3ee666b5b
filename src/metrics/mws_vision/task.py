"""What the scorers of MWS-Vision-Bench share: each scores the questions of one task, and is the mean over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from metrics.api import Case, Measure, Score
from metrics.statistics import ratio_of_sums
from metrics.text import unscored

if TYPE_CHECKING:
    from metrics.api import Array

SOURCE = "MWS-Vision-Bench (mts-ai), 6632d62"
ELSEWHERE = "a question of another task"  # how the reason begins for which a metric leaves such a question unscored
# Of an answer that is longer the benchmark scores this many characters, with a mark behind them (eval_parallel.py).
LONGEST = 18_000
CUT_OFF = " [TRUNCATED]"


def as_scored(prediction: str) -> str:
    """Return an answer as the benchmark scores it: without spaces around it, and cut off where it is very long.

    Spaces go when an answer arrives (api_inference.py), the end when it is scored (eval_parallel.py).
    """
    text = prediction.strip()
    return text if len(text) <= LONGEST else text[:LONGEST] + CUT_OFF


def mean(name: str, formula: str) -> Measure:
    """Return a measure between 0 and 1 that is a mean over questions."""
    return Measure(name, "higher", "mean", 0, 1, formula, SOURCE)


class TaskMetric(ABC):
    """Scores the questions of one task of the benchmark; those of other tasks are unscored.

    `task` is the field of the questions that are scored (`type` in the benchmark's files); null scores every question.
    A generation that failed is unscored, as everywhere here; the benchmark counts it as 0.
    """

    env = "current"
    measures: tuple[Measure, ...]
    version = "1 6632d62"
    one_answer = True  # the benchmark stops where a question of this task has none, or several

    def __init__(self, task: str | None) -> None:
        if task is not None and not isinstance(task, str):
            raise ValueError(f"task is {task!r}; valid: the field of the questions to be scored, or null for all")
        self.task = task

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield a score for each case and measure."""
        for case in cases:
            if reason := self._unscorable(case):
                yield from unscored(case, self.measures, reason)
                continue
            assert case.prediction is not None
            yield from self._scores(case, as_scored(case.prediction))

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (values, number), shape (..., 2), into means, shape (...)."""
        return ratio_of_sums(totals)

    def _unscorable(self, case: Case) -> str:
        if other := other_task(case, self.task):
            return other
        if case.prediction is None:
            return f"no answer: {case.facts.get('failure') or 'the generation failed'}"
        if not case.references:
            return "no reference"
        if self.one_answer and len(case.references) != 1:
            return f"{len(case.references)} references; the benchmark defines no score but for exactly one"
        return ""

    @abstractmethod
    def _scores(self, case: Case, answer: str) -> Iterator[Score]:
        """Yield the scores of a case that can be scored; `answer` is the text that the benchmark scores."""


class OneScore(TaskMetric):
    """A task whose answers have one score each."""

    def _scores(self, case: Case, answer: str) -> Iterator[Score]:
        value, detail = self._value(answer, case.references)
        yield Score(case.sample_id, case.repeat, self.measures[0].name, value, (value, 1.0), detail=detail)

    @abstractmethod
    def _value(self, answer: str, references: Sequence[str]) -> tuple[float, str]:
        """Return the score of an answer, and what to tell people of it."""


def other_task(case: Case, task: str | None) -> str:
    """Say that a question belongs to another task; empty where it doesn't."""
    if task is None or case.field == task:
        return ""
    return f"{ELSEWHERE}: {case.field!r}, not {task!r}"
