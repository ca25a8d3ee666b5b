"""A job's scores.jsonl: one row for each score, or for the reason why there is none.

Example row: {"sample_id": "0", "repeat": 0, "name": "cer", "part": "", "value": 0.125, "reason": "", "stats": [1, 8],
"detail": ""}
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metrics.api import Score

FIELDS = tuple(field.name for field in dataclasses.fields(Score))
# The measures of a judge that carry its explanation.
JUDGED = ("ratio", "score")


def line(score: Score) -> str:
    """Return a score as its row, with the line's end."""
    return json.dumps({name: getattr(score, name) for name in FIELDS}, ensure_ascii=False) + "\n"


def read(scores_path: Path) -> Iterator[Score]:
    """Yield the scores of a scores.jsonl."""
    with scores_path.open(encoding="utf-8") as file:
        for text in file:
            row: dict[str, Any] = json.loads(text)
            yield Score(**{**row, "stats": tuple(row.get("stats", ()))})


def correct(scores_path: Path) -> dict[tuple[str, int], bool]:
    """Return which answers match a reference exactly, where that metric was asked for."""
    found: dict[tuple[str, int], bool] = {}
    with scores_path.open(encoding="utf-8") as file:
        for text in file:
            if '"exact_match"' not in text:  # most lines; to read them all takes seconds where there are millions
                continue
            row: dict[str, Any] = json.loads(text)
            if row["name"] == "exact_match" and not row["part"] and row["value"] is not None:
                found[row["sample_id"], row["repeat"]] = bool(row["value"])
    return found


def judged(scores_path: Path) -> dict[tuple[str, int], tuple[float | None, str]]:
    """Return each answer's score by judges and their explanations, where it was judged."""
    found: dict[tuple[str, int], tuple[float | None, str]] = {}
    with scores_path.open(encoding="utf-8") as file:
        for text in file:
            if not any(f'"{name}"' in text for name in JUDGED):
                continue
            row: dict[str, Any] = json.loads(text)
            if row["name"] in JUDGED and row.get("detail"):
                found[row["sample_id"], row["repeat"]] = (row["value"], row["detail"])
    return found
