"""The score by which MWS-Vision-Bench ranks models: the mean of its five tasks, each with the same weight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from metrics.api import Case, Measure, Score
from metrics.mws_vision.task import ELSEWHERE, SOURCE
from metrics.text import unscored

if TYPE_CHECKING:
    from metrics.api import Array

TASKS = ("mws_page_ocr", "mws_parsing", "mws_grounding", "mws_kie", "mws_vqa")


class Overall:
    """Mean over the tasks of the mean over their questions (get_score_ru.py); anti-fraud does not count.

    It takes the scores of the other five metrics of the benchmark. A task of which no question was scored is left out,
    as the benchmark leaves it out: over a part of the tasks the figure is not that of the leaderboard.
    """

    env = "current"
    version = "1 6632d62"
    measures = (
        Measure(
            "mws_overall", "higher", "mean", 0, 1, "mean over the five tasks of the mean over their questions", SOURCE
        ),
    )

    def needs(self, measures: Sequence[Measure]) -> tuple[str, ...]:
        """Return the measures of the five tasks. Raise ValueError where one is missing."""
        known = {measure.name for measure in measures}
        if missing := [name for name in TASKS if name not in known]:
            listed = ",".join(("mws_overall", *TASKS))
            raise ValueError(
                f"mws_overall is made of five metrics, and {', '.join(missing)} is missing: metrics=[{listed}]"
            )
        return TASKS

    def score(self, cases: Sequence[Case]) -> Iterator[Score]:
        """Yield the scores of cases that no other metric scores: none."""
        for case in cases:
            yield from unscored(case, self.measures, "it is made of the scores of the five tasks, which are not there")

    def score_after(
        self, cases: Sequence[Case], scores: Iterable[Score], measures: Sequence[Measure]
    ) -> Iterator[Score]:
        """Yield for each case the score that the metric of its task gave it."""
        self.needs(measures)
        given: dict[tuple[str, int], Score] = {}
        for row in scores:
            key = (row.sample_id, row.repeat)
            # Of four of the five a question belongs to another task; the fifth says why it has no score.
            if row.value is not None or key not in given or given[key].reason.startswith(ELSEWHERE):
                given[key] = row
        for case in cases:
            row = given[case.sample_id, case.repeat]
            if row.value is None:
                yield from unscored(case, self.measures, row.reason)
                continue
            stats = [value for name in TASKS for value in (row.stats if name == row.name else (0.0, 0.0))]
            detail = f"{row.name}: {row.detail}" if row.detail else row.name
            yield Score(case.sample_id, case.repeat, self.measures[0].name, row.value, tuple(stats), detail=detail)

    def combine(self, name: str, totals: Array) -> Array:  # noqa: ARG002 - part of the contract
        """Turn summed (values, number) of each task, shape (..., 10), into the mean of their means, shape (...)."""
        values, number = totals[..., 0::2], totals[..., 1::2]
        means = np.divide(values, number, out=np.zeros(values.shape), where=number > 0)
        there = (number > 0).sum(axis=-1)
        figure: Array = np.divide(means.sum(axis=-1), there, out=np.full(there.shape, np.nan), where=there > 0)
        return figure
