"""The answers of a finished job with their scores, one after the other: a large sweep need not fit into memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metrics.api import Score
from runner import answers, score
from runner.compare.jobs import Scored


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """A row of answers.jsonl and its scores by measure; parts of structured answers are left out."""

    job: str
    row: Mapping[str, Any]
    scores: Mapping[str, Score]

    def value(self, measure: str) -> float | None:
        """Return a score, None where there is none."""
        found = self.scores.get(measure)
        return found.value if found else None

    def column(self, name: str) -> str | None:
        """Return what a table of another program had in a column."""
        found: str | None = (self.row.get("columns") or {}).get(name)
        return found

    @property
    def image(self) -> str:
        """Name the first picture for people: its file without the suffix; the document where there is none."""
        images = self.row["images"]
        if not images:
            return str(self.row["document"])
        name, _, page = images[0].partition("#")
        return Path(name).stem + (f"#{page}" if page else "")


def scored_answers(job: Scored) -> Iterator[ScoredAnswer]:
    """Yield the answers of a job in their order."""
    found: dict[tuple[str, int], dict[str, Score]] = defaultdict(dict)
    if (path := job.folder / "scores.jsonl").exists():
        for one in score.read(path):
            if not one.part:
                found[one.sample_id, one.repeat][one.name] = one
    for row in answers.read(job.folder / "answers.jsonl"):
        yield ScoredAnswer(job.name, row, found.get((row["sample_id"], row["repeat"]), {}))
