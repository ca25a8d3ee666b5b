"""Iterates over the answers of a finished job with their scores, so that a large sweep need not fit into memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics.api import Score
from runner.studies.compare.jobs import Scored


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """A row of answers.jsonl, its scores by measure (without parts of structured answers), and its valid verdicts."""

    job: str
    row: Mapping[str, Any]
    scores: Mapping[str, Score]
    verdicts: Sequence[Mapping[str, Any]] = ()

    def value(self, measure: str) -> float | None:
        """Return the score of a measure; None if there is none."""
        score = self.scores.get(measure)
        return score.value if score else None

    def column(self, name: str) -> str | None:
        """Return the cell of a column in the table of answers of another program; None if there is none."""
        cell: str | None = (self.row.get("columns") or {}).get(name)
        return cell

    def judged(self, who: str) -> float | None:
        """Return the points of `who` (candidate or rival): the mean over judges, orders and criteria."""
        points = [value for verdict in self.verdicts for value in (verdict[who] or {}).values()]
        return sum(points) / len(points) if points else None

    @property
    def image(self) -> str:
        """Return the name of the first picture's file without its suffix; the document if there is no picture."""
        images = self.row["images"]
        if not images:
            return str(self.row["document"])
        name, _, page = images[0].partition("#")
        return Path(name).stem + (f"#{page}" if page else "")


def scored_answers(job: Scored) -> Iterator[ScoredAnswer]:
    """Yield the answers of a job in the order of answers.jsonl."""
    scores: dict[tuple[str, int], dict[str, Score]] = defaultdict(dict)
    for score in job.result.scores():
        if not score.part:
            scores[score.sample_id, score.repeat][score.name] = score
    judged: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for verdict in job.result.verdicts():
        if verdict["state"] == "valid":
            judged[verdict["sample_id"], verdict["repeat"]].append(verdict)
    for row in job.result.rows():
        key = (row["sample_id"], row["repeat"])
        yield ScoredAnswer(job.name, row, scores.get(key, {}), judged.get(key, ()))
