"""metrics=[confidence] from the command line, against an endpoint that sends log-probabilities as OpenAI does."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.conftest import CommandLine

ASKED: list[dict[str, Any]] = []
TOKENS = [("Пет", -0.1), ("ров", -0.02)]


class _Endpoint(BaseHTTPRequestHandler):
    """Answers "Петров", with log-probabilities if they are asked for; the model `old` refuses to be asked."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ASKED.append(body)
        refused = body["model"] == "old" and "logprobs" in body
        chunks = []
        for text, logprob in TOKENS:
            entry = {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": []}
            told = {"logprobs": {"content": [entry], "refusal": None}} if body.get("logprobs") else {}
            chunks.append({"index": 0, "delta": {"content": text}, "finish_reason": None} | told)
        chunks.append({"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None})
        content = "".join(f"data: {json.dumps({'choices': [chunk]})}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        if refused:
            content = json.dumps({"error": {"message": "logprobs is not supported with this model"}})
        self.send_response(400 if refused else 200)
        self.send_header("Content-Type", "application/json" if refused else "text/event-stream")
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    ASKED.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def command(url: str, *more: str) -> tuple[str, ...]:
    settings = ("model=openai", "model.name=some", f"backend.base_url={url}", "backend.api_key_variable=null")
    return (*settings, "dataset.limit=4", "warmup=0", *more)


def result(cli: CommandLine, folder: str) -> dict[str, Any]:
    return json.loads((cli.folder / folder / "metrics.json").read_text())


def rows(cli: CommandLine, folder: str) -> list[dict[str, Any]]:
    lines = (cli.folder / folder / "answers.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_they_are_asked_for_stored_scored_and_tracked(cli: CommandLine, endpoint: str):
    metrics = "metrics=[exact_match,confidence]"
    # 1. Without the metric nothing is asked for.
    plain = cli(*command(endpoint, "metrics=[exact_match]", "tracking=none", "hydra.run.dir=plain"))
    assert plain.code == 0, plain.err
    assert not any("logprobs" in body for body in ASKED)
    assert all(row["token_logprobs"] is None for row in rows(cli, "plain"))
    asked = len(ASKED)
    # 2. With it the answers without them are asked again, for they lack what is needed.
    ended = cli(*command(endpoint, metrics, "hydra.run.dir=with"))
    assert ended.code == 0, ended.err
    assert len(ASKED) == 2 * asked == 8
    assert all(body["logprobs"] is True and "top_logprobs" not in body for body in ASKED[asked:])
    assert rows(cli, "with")[0]["token_logprobs"] == {"lengths": [3, 3], "logprobs": [-0.1, -0.02], "problem": ""}
    found = result(cli, "with")
    assert found["metrics"]["confidence/probability"] == pytest.approx(0.886920, abs=1e-5)
    assert found["metrics"]["confidence/measured"] == 1
    assert found["metrics"]["confidence/wrong"] == 1 - found["metrics"]["quality/exact_match"]
    assert "confidence/pass_at_5pct" not in found["metrics"], "four answers about one document can't say"
    assert any(
        "at 5% wrong answers nothing can be said: at least 72 documents are needed, there are 1" in note
        for note in found["notes"]
    )
    with sqlite3.connect(cli.folder / "mlflow.db") as database:
        tracked = dict(database.execute("SELECT key, value FROM latest_metrics WHERE key LIKE 'confidence/%'"))
    assert tracked["confidence/ece"] == pytest.approx(found["metrics"]["confidence/ece"])
    assert {"confidence/aurc", "confidence/ece_if_calibrated"} <= tracked.keys()
    # 3. Asked again, all is in the store.
    again = cli(*command(endpoint, metrics, "tracking=none", "hydra.run.dir=again"))
    assert again.code == 0, again.err
    assert len(ASKED) == 8
    assert result(cli, "again")["metrics"]["confidence/probability"] == found["metrics"]["confidence/probability"]
    # 4. Scored later, answers without them say what is missing and how to get it. It is never 0.
    later = cli("stage=score", "answers=plain", metrics, "tracking=none")
    assert later.code == 0, later.err
    found = result(cli, "plain")
    assert found["metrics"]["confidence/measured"] == 0
    assert "confidence/probability" not in found["metrics"] and "confidence/ece" not in found["metrics"]
    (note,) = (note for note in found["notes"] if note.startswith("confidence: not measured for 4 of 4"))
    assert "sampling.logprobs=true" in note


def test_an_endpoint_that_refuses_them_answers_without(cli: CommandLine, endpoint: str):
    ended = cli(
        *command(endpoint, "model.name=old", "metrics=[exact_match,confidence]", "tracking=none", "hydra.run.dir=old")
    )
    assert ended.code == 0, ended.err
    found = result(cli, "old")
    assert found["metrics"]["samples/failed"] == 0
    assert found["metrics"]["confidence/measured"] == 0
    assert any("made without logprobs, which the endpoint refuses" in note for note in found["notes"]), found["notes"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("model=tesseract_rus", "sampling.logprobs=true"), "an OCR program has no probabilities of tokens"),
        (("metrics=[exact_match,confidence]", "metrics.confidence.measure=cer"), "no other metric yields it"),
        (("metrics=[exact_match,confidence]", "metrics.confidence.pass_at=[5]"), "a list of shares between 0 and 1"),
    ],
)
def test_what_can_not_be_measured_is_refused_before_anything_starts(
    cli: CommandLine, arguments: tuple[str, ...], words: str
):
    ended = cli(*arguments, "tracking=none", "plan=dry")
    assert ended.code != 0
    assert words in ended.err + ended.out
