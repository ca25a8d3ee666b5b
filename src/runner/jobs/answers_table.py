"""A job's answers as a table: the columns that MLflow's artifact comparison pairs and shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.jobs.folder import JobFolder


def write(folder: JobFolder, path: Path) -> bool:
    """Write the answers as MLflow reads a table, `{"columns": […], "data": [[…], …]}`; False where there are none.

    The columns stand in the order that MLflow's artifact comparison needs: it pairs by the first.
    """
    rows = table(folder)
    first = next(rows, None)
    if first is None:
        return False
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"columns": {json.dumps(list(first), ensure_ascii=False)}, "data": [\n')
        file.write(json.dumps(list(first.values()), ensure_ascii=False))
        file.writelines(f",\n{json.dumps(list(row.values()), ensure_ascii=False)}" for row in rows)
        file.write("\n]}\n")
    return True


def table(folder: JobFolder) -> Iterator[dict[str, Any]]:
    """Yield the answers as rows, every one with the same columns."""
    if not folder.has_answers:
        return
    correct, judged = folder.correct(), folder.judged()
    for row in folder.rows():
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
