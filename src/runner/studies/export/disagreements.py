"""disagreements.csv: what people should look at, a row for each candidate's answer, those of a sample together.

A sample is in it where its candidates answered differently, where one gave no answer, or where all agree on something
else than the reference (which is then perhaps wrong). `human_reference`, `human_score` and `comment` are for people to
fill in; `python -m runner.labels` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.scoring import tables
from runner.studies.compare.changed_samples import answer
from runner.studies.compare.jobs import Scored
from runner.studies.export.scored_answers import ScoredAnswer, scored_answers

KEYS = ("sample_id", "repeat", "candidate")
FOR_PEOPLE = ("human_reference", "human_score", "comment")
TOLD = (*KEYS, "why", "document", "doc_class", "field", "question", "image", "reference", "answer")


def write(folder: Path, jobs: Sequence[Scored]) -> dict[Path, int]:
    """Write disagreements.csv. Return it with its number of rows."""
    samples: dict[tuple[str, int], list[ScoredAnswer]] = {}
    for job in jobs:
        for one in scored_answers(job):
            samples.setdefault((one.row["sample_id"], one.row["repeat"]), []).append(one)
    doubtful = {key: (why, found) for key, found in samples.items() if (why := _why(found))}
    measures = list(dict.fromkeys(name for _, found in doubtful.values() for one in found for name in one.scores))
    path = folder / "disagreements.csv"
    rows = [row for why, found in doubtful.values() for row in _rows(why, found, measures)]
    tables.write_csv(path, [[*TOLD, *measures, *FOR_PEOPLE], *rows])
    return {path: len(rows)}


def _why(found: Sequence[ScoredAnswer]) -> str:
    """Return why people should look at a sample; empty where they need not."""
    texts = [one.row["text"] for one in found]
    if None in texts:
        return "an answer is missing"
    said = {_plain(text) for text in texts}
    if len(said) > 1:
        return "candidates differ"
    references = {_plain(text) for text in found[0].row["references"]}
    return "not as the reference" if references and not said & references else ""


def _plain(text: str) -> str:
    """Return a text without what nobody would call another answer: case, spacing, a full stop at the end."""
    return " ".join(text.split()).casefold().rstrip(".")


def _rows(why: str, found: Sequence[ScoredAnswer], measures: Sequence[str]) -> Iterator[list[object]]:
    for one in found:
        row = one.row
        yield [
            row["sample_id"], row["repeat"], one.job, why, row["document"], row["doc_class"], row["field"],
            row["question"], " | ".join(row["images"]), " | ".join(row["references"]), answer(row),
            *(None if (value := one.value(name)) is None else round(value, 4) for name in measures),
            *("" for _ in FOR_PEOPLE),
        ]  # fmt: skip
