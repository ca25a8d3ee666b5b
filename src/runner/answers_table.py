"""A job's answers as a table: the columns that MLflow's artifact comparison pairs and shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner import answers, score

FIRST_COLUMNS = ("sample_id", "answer", "image", "question", "reference", "correct")


def table(folder: Path) -> dict[str, list[Any]]:
    """Return the answers as columns, in the order that MLflow's artifact comparison needs: it pairs by the first."""
    scores = folder / "scores.jsonl"
    correct = score.correct(scores) if scores.exists() else {}
    judged = score.judged(scores) if scores.exists() else {}
    rows = list(_rows(folder, correct, judged)) if (folder / "answers.jsonl").exists() else []
    names = [*FIRST_COLUMNS, *(name for name in (rows[0] if rows else {}) if name not in FIRST_COLUMNS)]
    return {name: [row[name] for row in rows] for name in names}


def _rows(
    folder: Path,
    correct: Mapping[tuple[str, int], bool],
    judged: Mapping[tuple[str, int], tuple[float | None, str]],
) -> Iterator[dict[str, Any]]:
    for row in answers.read(folder / "answers.jsonl"):
        timing, error = row["timing"] or {}, row["error"] or {}
        right = correct.get((row["sample_id"], row["repeat"]))
        yield {
            "sample_id": row["sample_id"] if row["repeat"] == 0 else f"{row['sample_id']}#{row['repeat']}",
            "answer": row["text"] if row["text"] is not None else f"(failed: {error.get('kind')})",
            "image": Path(row["images"][0]).name if row["images"] else "",
            "question": row["question"],
            "reference": " | ".join(row["references"]),
            "correct": "" if right is None else ("yes" if right else "no"),
            "doc_class": row["doc_class"],
            "field": row["field"],
            "document": row["document"],
            "prompt": row["prompt"] or "",
            "error": error.get("message", ""),
            "finish_reason": row["finish_reason"] or "",
            "latency_s": timing.get("latency_s"),
            "ttft_s": timing.get("ttft_s"),
            "prompt_tokens": row["prompt_tokens"],
            "completion_tokens": row["completion_tokens"],
            **_judgement(judged, (row["sample_id"], row["repeat"])),
        }


def _judgement(
    judged: Mapping[tuple[str, int], tuple[float | None, str]], answer: tuple[str, int]
) -> dict[str, float | str | None]:
    """Return the columns of a judge, where the job was judged."""
    if not judged:
        return {}
    value, explanation = judged.get(answer, (None, ""))
    return {"judge": value, "judge_explanation": explanation}
