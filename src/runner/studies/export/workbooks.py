"""Three workbooks with the columns of the published comparison of screenshots, one row per answer.

summary_test_stats.xlsx (time, length, spelling, perplexity), auto_metrics_stats.xlsx (ROUGE, BLEURT) and
judgement_scores.xlsx (the judge). A figure that was not measured is an empty cell; a workbook of which no figure was
measured is not written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from runner.studies.compare.jobs import Scored
from runner.studies.export.cells import cell
from runner.studies.export.scored_answers import ScoredAnswer, scored_answers

Figure = Callable[[ScoredAnswer, Mapping[str, Any]], object]

# What an answer is about; the other columns are figures.
TOLD = ("model_name", "Image", "Temperature", "candidate", "reference")


def write(folder: Path, jobs: Sequence[Scored]) -> dict[Path, int]:
    """Write the workbooks that have something to say. Return each with its number of rows."""
    written: dict[Path, int] = {}
    for name, columns in BOOKS.items():
        figures = [place for place, header in enumerate(columns) if header not in TOLD]
        if any(row[place] is not None for row in _rows(jobs, columns) for place in figures):
            written[folder / name] = _book(folder / name, columns, _rows(jobs, columns))
    return written


def _rows(jobs: Sequence[Scored], columns: Mapping[str, Figure]) -> Iterator[list[object]]:
    for job in jobs:
        for answer in scored_answers(job):
            yield [make(answer, job.result.config) for make in columns.values()]


def _book(path: Path, header: Iterable[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a workbook of one sheet, row by row: many answers need not fit into memory. Return the number of rows."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Sheet1")
    sheet.append([cell(sheet, name) for name in header])
    count = 0
    for row in rows:
        sheet.append([cell(sheet, value) for value in row])
        count += 1
    book.save(path)
    return count


# ------------------------------------------------------------------------------------------------- the columns


def _measure(name: str, column: str) -> Figure:
    """Return a score; where that measure was not scored, what a table of another program had in `column`."""

    def figure(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
        return answer.value(name) if name in answer.scores else _number(answer.column(column))

    return figure


def _number(text: str | None) -> object:
    """Return a number where the text is one."""
    if text is None or not text.strip():
        return None
    try:
        return int(text) if text.strip().lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _temperature(answer: ScoredAnswer, config: Mapping[str, Any]) -> object:
    if config["sampling"]["name"] == "unknown":  # answers of another program
        return _number(answer.column("Temperature"))
    return config["sampling"]["temperature"]


def _time(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
    timing = answer.row["timing"]
    return round(timing["latency_s"], 4) if timing else None


def _length(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
    return None if answer.row["text"] is None else len(answer.row["text"])


def _speed(answer: ScoredAnswer, config: Mapping[str, Any]) -> object:
    if "chars_per_s" in answer.scores:
        return answer.value("chars_per_s")
    if (stored := answer.column("Chars/sec")) is not None:
        return _number(stored)
    timing, length = answer.row["timing"], _length(answer, config)
    return round(length / timing["latency_s"], 1) if timing and timing["latency_s"] and length is not None else None


def _misspelt(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
    """Return the misspelt words as the seeds' table writes a list."""
    if (stored := answer.column("Error Words")) is not None:
        return stored
    found = answer.scores.get("spelling_errors")
    if found is None or found.value is None:
        return None
    return str([word.strip() for word in found.detail.split(",") if word.strip()])


def _judged(who: str, column: str) -> Figure:
    """Return what judges gave; without a judge what a table of another program had in `column`."""

    def figure(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
        return answer.judged(who) if answer.verdicts else _number(answer.column(column))

    return figure


def _explained(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
    """Return the words of all judges, with whose they are where there are several."""
    if not answer.verdicts:
        return answer.column("Judge Explanation")
    if len(answer.verdicts) == 1:
        return answer.verdicts[0]["explanation"]
    return "\n".join(f"{one['judge']}, order {one['order']}: {one['explanation']}" for one in answer.verdicts)


def _compared_with(answer: ScoredAnswer, config: Mapping[str, Any]) -> object:
    """Return the answer that a pairwise judge compared with, else the references."""
    rivals = [one["rival_answer"] for one in answer.verdicts if one.get("rival_answer")]
    return rivals[0] if rivals else REFERENCE(answer, config)


MODEL: Figure = lambda answer, _config: answer.job  # noqa: E731
IMAGE: Figure = lambda answer, _config: answer.image  # noqa: E731
ANSWER: Figure = lambda answer, _config: answer.row["text"]  # noqa: E731
REFERENCE: Figure = lambda answer, _config: " | ".join(answer.row["references"]) or None  # noqa: E731

BOOKS: dict[str, dict[str, Figure]] = {
    "summary_test_stats.xlsx": {
        "model_name": MODEL,
        "Image": IMAGE,
        "Temperature": _temperature,
        "candidate": ANSWER,
        "Time Taken (sec)": _time,
        "Text Length (char)": _length,
        "Chars/sec": _speed,
        "Errors (cnt)": _measure("spelling_errors", "Errors (cnt)"),
        "Error Words": _misspelt,
        "Non cyrillic and non latin chars (cnt)": _measure("foreign_letters", "Non cyrillic and non latin chars (cnt)"),
        "Perplexity": _measure("perplexity", "Perplexity"),
    },
    "auto_metrics_stats.xlsx": {
        "Image": IMAGE,
        "model_name": MODEL,
        "candidate": ANSWER,
        "reference": REFERENCE,
        "rouge1": _measure("rouge1", "rouge1"),
        "rouge2": _measure("rouge2", "rouge2"),
        "rougeL": _measure("rougeL", "rougeL"),
        "bleurt": _measure("bleurt", "bleurt"),
    },
    "judgement_scores.xlsx": {
        "model_name": MODEL,
        "Image": IMAGE,
        "candidate": ANSWER,
        "reference": _compared_with,
        "Reference_Score": _judged("rival", "Reference_Score"),
        "Candidate_Score": _judged("candidate", "Candidate_Score"),
        "Judge Explanation": _explained,
    },
}
