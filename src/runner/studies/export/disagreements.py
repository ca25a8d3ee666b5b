"""Writes disagreements.csv for review by people: a row for each candidate's answer, grouped by sample.

It contains the samples whose candidates answered differently, of which one gave no answer, or whose candidates all
agree on an answer that is not the reference (then the reference may be wrong). People fill in `human_reference`,
`human_score` and `comment`; `python -m runner.labels` reads them.
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
ANSWER_COLUMNS = (*KEYS, "why", "document", "doc_class", "field", "question", "image", "reference", "answer")


def write(folder: Path, jobs: Sequence[Scored]) -> dict[Path, int]:
    """Write disagreements.csv. Return the path with its number of rows."""
    samples: dict[tuple[str, int], list[ScoredAnswer]] = {}
    for job in jobs:
        for scored in scored_answers(job):
            samples.setdefault((scored.row["sample_id"], scored.row["repeat"]), []).append(scored)
    doubtful = {key: (why, answers) for key, answers in samples.items() if (why := _why(answers))}
    measures = list(
        dict.fromkeys(name for _, answers in doubtful.values() for scored in answers for name in scored.scores)
    )
    path = folder / "disagreements.csv"
    rows = [row for why, answers in doubtful.values() for row in _rows(why, answers, measures)]
    tables.write_csv(path, [[*ANSWER_COLUMNS, *measures, *FOR_PEOPLE], *rows])
    return {path: len(rows)}


def _why(answers: Sequence[ScoredAnswer]) -> str:
    """Return why people should review a sample; an empty text if they need not."""
    texts = [answer.row["text"] for answer in answers]
    if None in texts:
        return "an answer is missing"
    distinct = {_plain(text) for text in texts}
    if len(distinct) > 1:
        return "candidates differ"
    references = {_plain(text) for text in answers[0].row["references"]}
    return "not as the reference" if references and not distinct & references else ""


def _plain(text: str) -> str:
    """Return a text without differences that don't matter to people: case, spacing, a full stop at the end."""
    return " ".join(text.split()).casefold().rstrip(".")


def _rows(why: str, answers: Sequence[ScoredAnswer], measures: Sequence[str]) -> Iterator[list[object]]:
    for scored in answers:
        row = scored.row
        yield [
            row["sample_id"], row["repeat"], scored.job, why, row["document"], row["doc_class"], row["field"],
            row["question"], " | ".join(row["images"]), " | ".join(row["references"]), answer(row),
            *(None if (value := scored.value(name)) is None else round(value, 4) for name in measures),
            *("" for _ in FOR_PEOPLE),
        ]  # fmt: skip
