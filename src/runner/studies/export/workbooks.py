"""Writes three workbooks with the columns of the published comparison of screenshots, a row per answer.

summary_test_stats.xlsx (time, length, spelling, perplexity), auto_metrics_stats.xlsx (ROUGE, BLEURT) and
judgement_scores.xlsx (the judge). A figure that was not measured is an empty cell. A workbook without any measured
figure is not written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from runner.studies.compare.jobs import Scored
from runner.studies.export.cells import cell
from runner.studies.export.scored_answers import ScoredAnswer, scored_answers

ColumnValue = Callable[[ScoredAnswer, Mapping[str, Any]], object]

# These columns describe an answer; all other columns are figures.
DESCRIBING_COLUMNS = ("model_name", "Image", "Temperature", "candidate", "reference")


def write(folder: Path, jobs: Sequence[Scored]) -> dict[Path, int]:
    """Write the workbooks that have a measured figure. Return each path with its number of rows."""
    written: dict[Path, int] = {}
    for name, columns in BOOKS.items():
        figures = [place for place, header in enumerate(columns) if header not in DESCRIBING_COLUMNS]
        if any(row[place] is not None for row in _rows(jobs, columns) for place in figures):
            written[folder / name] = _book(folder / name, columns, _rows(jobs, columns))
    return written


def _rows(jobs: Sequence[Scored], columns: Mapping[str, ColumnValue]) -> Iterator[list[object]]:
    for job in jobs:
        for answer in scored_answers(job):
            yield [make(answer, job.result.config) for make in columns.values()]


def _book(path: Path, header: Iterable[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a workbook with one sheet, row by row to save memory. Return the number of rows."""
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


def _measure(name: str, column: str) -> ColumnValue:
    """Return a column with the scores of a measure, or with `column` of another program's table if it has none."""

    def figure(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
        return answer.value(name) if name in answer.scores else _number(answer.column(column))

    return figure


def _number(text: str | None) -> object:
    """Return a text as a number; None for an empty text, and the text itself if it is no number."""
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
    """Return the misspelt words as a Python list, as in the published table."""
    if (stored := answer.column("Error Words")) is not None:
        return stored
    score = answer.scores.get("spelling_errors")
    if score is None or score.value is None:
        return None
    return str([word.strip() for word in score.detail.split(",") if word.strip()])


def _judged(who: str, column: str) -> ColumnValue:
    """Return a column with the judges' points, or with `column` of another program's table if nobody judged."""

    def figure(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
        return answer.judged(who) if answer.verdicts else _number(answer.column(column))

    return figure


def _explained(answer: ScoredAnswer, _config: Mapping[str, Any]) -> object:
    """Return the explanations of all judges, with the judge's name if there are several."""
    if not answer.verdicts:
        return answer.column("Judge Explanation")
    if len(answer.verdicts) == 1:
        return answer.verdicts[0]["explanation"]
    return "\n".join(
        f"{verdict['judge']}, order {verdict['order']}: {verdict['explanation']}" for verdict in answer.verdicts
    )


def _compared_with(answer: ScoredAnswer, config: Mapping[str, Any]) -> object:
    """Return the rival answer of a pairwise judge, else the references."""
    rivals = [verdict["rival_answer"] for verdict in answer.verdicts if verdict.get("rival_answer")]
    return rivals[0] if rivals else REFERENCE(answer, config)


MODEL: ColumnValue = lambda answer, _config: answer.job  # noqa: E731
IMAGE: ColumnValue = lambda answer, _config: answer.image  # noqa: E731
ANSWER: ColumnValue = lambda answer, _config: answer.row["text"]  # noqa: E731
REFERENCE: ColumnValue = lambda answer, _config: " | ".join(answer.row["references"]) or None  # noqa: E731

BOOKS: dict[str, dict[str, ColumnValue]] = {
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
