"""The answers of a finished job with their scores, one after the other: a large sweep need not fit into memory."""

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
        """Return a score, None where there is none."""
        found = self.scores.get(measure)
        return found.value if found else None

    def column(self, name: str) -> str | None:
        """Return what a table of another program had in a column."""
        found: str | None = (self.row.get("columns") or {}).get(name)
        return found

    def judged(self, who: str) -> float | None:
        """Return what judges gave to `who` (candidate, rival): the mean over judges, orders and criteria."""
        given = [value for verdict in self.verdicts for value in (verdict[who] or {}).values()]
        return sum(given) / len(given) if given else None

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
    for one in job.result.scores():
        if not one.part:
            found[one.sample_id, one.repeat][one.name] = one
    judged: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for verdict in job.result.verdicts():
        if verdict["state"] == "valid":
            judged[verdict["sample_id"], verdict["repeat"]].append(verdict)
    for row in job.result.rows():
        key = (row["sample_id"], row["repeat"])
        yield ScoredAnswer(job.name, row, found.get(key, {}), judged.get(key, ()))
