"""Single answers as MLflow traces, with the pictures that were asked about: `tracking.traces=failed|all`.

They cost about 50 ms each, so there are none unless they are asked for. The picture lies in a child span: MLflow pairs
the traces of two runs by what their root spans were given, and a picture there keeps it from finding pairs.
"""

from __future__ import annotations

import base64
import io
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from runner.base.progress import Progress
from runner.datasets.encoded import BadImage, EncodedImage
from runner.datasets.images import read_images
from runner.datasets.picture_names import described
from runner.jobs.folder import JobFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)
LONGEST_SIDE = 1024  # pixels of a picture in a trace: enough to see why an answer is wrong


def log_traces(connection: MlflowClient, uri: str, run_id: str, folder: JobFolder, config: DictConfig) -> None:
    """Log the traces that the job's config asks for and its run doesn't have yet."""
    wanted = config.tracking.get("traces", "none")
    if wanted == "none" or not folder.has_answers:
        return
    correct = folder.correct()
    rows = [row for row in folder.rows() if wanted == "all" or _failed(row, correct)]
    experiment = connection.get_run(run_id).info.experiment_id
    there = _there(connection, experiment, run_id)
    missing = [row for row in rows if _name(row) not in there]
    if not missing:
        return
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)  # spans are exported by a thread that knows no other
    try:
        with Progress("uploading traces", len(missing)) as progress:
            for row in missing:
                right = correct.get((row["sample_id"], row["repeat"]))
                _trace(connection, experiment, run_id, row, right, pictures=config.tracking.get("images", True))
                progress.advance()
            mlflow.flush_trace_async_logging()
    finally:
        mlflow.set_tracking_uri(before)


def _failed(row: Mapping[str, Any], correct: Mapping[tuple[str, int], bool]) -> bool:
    """Say whether an answer is missing or, where that was scored, wrong."""
    return row["error"] is not None or correct.get((row["sample_id"], row["repeat"])) is False


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['sample_id']}#{row['repeat']}"


def _there(connection: MlflowClient, experiment: str, run_id: str) -> set[str]:
    """Return the answers that the run has traces of."""
    present: set[str] = set()
    token = None
    while True:
        page = connection.search_traces(
            locations=[experiment], run_id=run_id, max_results=500, page_token=token, include_spans=False
        )
        present |= {trace.info.tags.get("runner.answer", "") for trace in page}
        token = page.token
        if not token:
            return present


def _trace(
    connection: MlflowClient,
    experiment: str,
    run_id: str,
    row: Mapping[str, Any],
    correct: bool | None,
    *,
    pictures: bool,
) -> None:
    """Log one answer: the question at the root, what was sent and came back in a child."""
    timing = row["timing"] or {}
    began = int((timing.get("sent_at") or time.time()) * 1e9)
    ended = began + int((timing.get("latency_s") or 0) * 1e9)
    status = "OK" if row["error"] is None else "ERROR"
    tags = {"runner.answer": _name(row), "sample_id": row["sample_id"], "doc_class": row["doc_class"],
            "field": row["field"], "correct": "" if correct is None else "yes" if correct else "no"}  # fmt: skip
    root = connection.start_trace(
        name=row["field"] or "answer",
        inputs={"sample_id": row["sample_id"], "question": row["question"]},
        attributes={"reference": " | ".join(row["references"]), "document": row["document"]},
        tags=tags,
        experiment_id=experiment,
        start_time_ns=began,
        run_id=run_id,
    )
    child = connection.start_span(
        name="generation",
        trace_id=root.trace_id,
        parent_id=root.span_id,
        span_type="CHAT_MODEL",
        inputs={"messages": [{"role": "user", "content": _content(row, pictures=pictures)}]},
        attributes={"mlflow.message.format": "openai", **_measured(row)},
        start_time_ns=began,
    )
    said = row["text"] if row["error"] is None else f"{row['error']['kind']}: {row['error']['message']}"
    reply = {"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}
    connection.end_span(root.trace_id, child.span_id, outputs=reply, status=status, end_time_ns=ended)
    connection.end_trace(root.trace_id, outputs={"answer": said}, status=status, end_time_ns=ended)


def _measured(row: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: row[name] for name in ("finish_reason", "prompt_tokens", "completion_tokens")}
    return {name: value for name, value in figures.items() if value is not None}


def _content(row: Mapping[str, Any], *, pictures: bool) -> list[dict[str, Any]]:
    """Return what the user turn held, as OpenAI's chat completions put it; of a picture that is kept out, its name."""
    parts: list[dict[str, Any]] = []
    for image in row["images"]:
        shown = _pictures(image) if pictures else []
        parts += [{"type": "image_url", "image_url": {"url": url}} for url in shown]
        if not shown:
            parts.append({"type": "text", "text": f"[picture: {Path(image).name}]"})
    return [*parts, {"type": "text", "text": row["prompt"] or row["question"]}]


def _pictures(named: str) -> list[str]:
    """Return a picture, or the pages of a PDF, as data URLs, made smaller; none where it is not there any more."""
    try:
        pictures = read_images((described(named),))
        return [_smaller(encoded) for encoded in pictures]
    except (BadImage, OSError, ValueError) as error:
        log.warning("%s is not in its trace: %s", named, error)
        return []


def _smaller(encoded: EncodedImage) -> str:
    held = io.BytesIO()
    picture = encoded.picture(LONGEST_SIDE)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    picture.save(held, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()
