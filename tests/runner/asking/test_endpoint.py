"""`backend=openai` from the command line, against a server that somebody else started."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import ROOT, CommandLine
from tests.patience import patient


@pytest.fixture
def url(third_party: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(third_party)}
    process = subprocess.Popen([sys.executable, "-m", "echo_engine.server", f"--port={port}"], env=environment)
    deadline = time.monotonic() + patient(20)
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/v1"
    process.kill()
    process.wait()


ENDPOINT = ("model=openai", "model.name=their-model", "tracking=none", "dataset.limit=4", "metrics=[exact_match]")


def test_an_endpoint_is_a_candidate_like_any_other(cli: CommandLine, url: str):
    cli.environment["TEAM_KEY"] = "sk-canary-1234"
    ended = cli(*ENDPOINT, f"backend.base_url={url}", "backend.api_key_variable=TEAM_KEY")
    assert ended.code == 0, ended.err
    (path,) = cli.folder.glob("outputs/*/*/metrics.json")
    result = json.loads(path.read_text())
    metrics = result["metrics"]
    assert metrics["engine/starts"] == 0 and metrics["samples/failed"] == 0 and metrics["latency/p50_s"] > 0
    assert not [name for name in metrics if name.startswith("memory/")], "nothing of it can be measured"
    assert any("can't be measured" in note for note in result["notes"])
    left = [file.read_bytes() for file in cli.folder.rglob("*") if file.is_file()]
    assert left and not any(b"sk-canary" in content for content in left)
    assert "sk-canary" not in ended.out + ended.err
    again = cli(*ENDPOINT, f"backend.base_url={url}", "backend.api_key_variable=TEAM_KEY", "sampling.max_tokens=128")
    assert again.code == 0 and "0 of 4" in again.out


def test_address_and_name_are_its_identity(cli: CommandLine, url: str):
    first = cli(*ENDPOINT, f"backend.base_url={url}", "backend.api_key_variable=null")
    other = cli(*ENDPOINT, "model.name=another", f"backend.base_url={url}", "backend.api_key_variable=null")
    assert first.code == other.code == 0, other.err
    for path in cli.folder.glob("outputs/*/*/metrics.json"):
        assert json.loads(path.read_text())["metrics"]["samples/reused"] == 0
    assert len(list((cli.folder / "store").glob("*.jsonl"))) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["model=openai"], "model.name"),
        (["model=openai", "model.name=x", "backend.api_key_variable=NO_SUCH_KEY"], "NO_SUCH_KEY"),
        (["model=openai", "model.name=x", "quant=awq", "backend.api_key_variable=null"], "quant=native"),
    ],
)
def test_refused_before_anything_is_asked(cli: CommandLine, arguments: list[str], words: str):
    ended = cli(*arguments, "tracking=none")
    assert ended.code == 2 and words in ended.err, ended.err
    assert not (cli.folder / "outputs").exists()


def _piece(delta: dict, finish: str | None = None) -> dict:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


# What an endpoint streams, by the name of the model that is asked for.
SAID = {
    "refuses": [_piece({"refusal": "Я не могу помочь с этим документом."}), _piece({}, "stop")],
    "filters": [_piece({"content": "Ив"}), _piece({}, "content_filter")],
    "cuts": [_piece({"content": "Ив"}), _piece({}, "MAX_TOKENS")],
    "thinks": [_piece({"content": "<think>вижу паспорт</think>\n\nИванов"}), _piece({}, "stop")],
    "ponders": [_piece({"reasoning_content": "вижу паспорт"}), _piece({}, "length")],
    "breaks": [_piece({"content": "Ив"}), {"object": "error", "message": "no such picture", "code": 400}],
    "strict": [_piece({"content": "Иванов"}), _piece({}, "stop")],
}
# What the families refuse, and what they must be sent. Of GPT-5: litellm 1.110.2, llms/openai/chat.
REFUSED = {
    "gpt-5-mini": ({"max_tokens", "temperature", "top_p", "top_k", "stop"}, {"max_completion_tokens"}),
    "newcomer": ({"max_tokens", "temperature", "seed"}, {"max_completion_tokens"}),
    "mistral-old": ({"max_completion_tokens", "reasoning_effort"}, {"max_tokens", "temperature"}),
    "strict": ({"seed"}, {"max_completion_tokens"}),
}


class _Odd(BaseHTTPRequestHandler):
    """Answers as SAID has it, and refuses what REFUSED says."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        unknown, needed = REFUSED.get(body["model"], (set(), set()))
        refused = sorted(unknown & body.keys() | needed - body.keys())
        events = [f"data: {json.dumps(one)}\n\n" for one in SAID.get(body["model"], SAID["strict"])]
        content = "".join([*events, "data: [DONE]\n\n"])
        if refused:
            content = json.dumps({"error": {"message": f"Unsupported parameter: {refused}"}})
        self.send_response(400 if refused else 200)
        self.send_header("Content-Type", "application/json" if refused else "text/event-stream")
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def odd_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Odd) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_what_the_gpt_5_family_refuses_is_not_sent_and_others_get_the_old_names(cli: CommandLine, odd_url: str):
    command = ("-m", "model=openai", "model.name=gpt-5-mini,newcomer,mistral-old", f"backend.base_url={odd_url}")
    command = (*command, "backend.api_key_variable=null", "dataset.limit=2", "metrics=[exact_match]")
    ended = cli(*command)
    assert ended.code == 0, ended.err + ended.out
    notes = {}
    for path in cli.folder.glob("multirun/*/*/*/metrics.json"):
        result = json.loads(path.read_text())
        assert result["metrics"]["samples/failed"] == 0
        notes[result["name"]] = " ".join(result["notes"])
    assert "not sent: temperature, top_p (model.request_by_name." in notes["gpt-5-mini-native"]
    assert "not sent" not in notes["mistral-old-native"] and "refuses" not in notes["mistral-old-native"]
    # Of a name that no file knows the endpoint's own refusals tell what it takes.
    assert "made without seed, which the endpoint refuses" in notes["newcomer-native"]
    (told,) = cli.folder.glob("multirun/*/*/*newcomer*/environment.json")
    assert json.loads(told.read_text())["not_sent"] == ["seed", "temperature"]
    # What is added decides an answer: nothing of the store is reused; and a refusal names the key that changes it.
    again = cli(*command, "+model.request.reasoning_effort=low", "max_failed=null")
    assert "++model.request.reasoning_effort=null" in again.out + again.err
    first, second = sorted(cli.folder.glob("multirun/*/*/*gpt-5-mini*/metrics.json"))
    assert json.loads(second.read_text())["metrics"]["samples/reused"] == 0
    left = json.loads((second.parent / "answers.jsonl").read_text().splitlines()[0])
    assert (
        left["text"] == "Иванов"
        and left["key"] != json.loads((first.parent / "answers.jsonl").read_text().splitlines()[0])["key"]
    )


def test_what_endpoints_say_in_other_ways_is_read_or_told(cli: CommandLine, odd_url: str):
    ended = cli(
        *(
            "-m",
            "model=openai",
            f"model.name={','.join(SAID)}",
            f"backend.base_url={odd_url}",
        ),
        *("backend.api_key_variable=null", "backend.omit=[seed]", "+backend.rename.max_tokens=max_completion_tokens"),
        *("dataset.limit=4", "metrics=[exact_match,text]", "max_failed=null", "warmup=0"),
    )
    found = {}
    for path in cli.folder.glob("multirun/*/*/*/metrics.json"):
        rows = [json.loads(line) for line in (path.parent / "answers.jsonl").read_text().splitlines()]
        found[path.parent.name.split("-")[0].split("_")[-1]] = (json.loads(path.read_text()), rows)
    assert set(found) == set(SAID), ended.err
    metrics = {name: one["metrics"] for name, (one, _) in found.items()}
    notes = {name: " ".join(one["notes"]) for name, (one, _) in found.items()}
    first = {name: rows[0] for name, (_, rows) in found.items()}
    assert (metrics["refuses"]["text/refusals"], metrics["refuses"]["samples/refused"]) == (1, 4)
    assert "4 answers are refusals" in notes["refuses"]
    assert first["filters"]["error"]["kind"] == "content_filter" and metrics["filters"]["samples/failed"] == 4
    assert (metrics["cuts"]["samples/truncated"], metrics["cuts"]["text/truncated"]) == (4, 1)
    assert first["cuts"]["remarks"] == ["finish_reason=MAX_TOKENS"]
    assert (first["thinks"]["text"], first["thinks"]["reasoning"]) == ("Иванов", "вижу паспорт")
    assert "held reasoning" in notes["thinks"]
    assert metrics["ponders"]["samples/truncated"] == metrics["ponders"]["text/truncated"] * 4 == 4
    assert "were cut by sampling.max_tokens while the model was thinking" in notes["ponders"]
    assert (first["breaks"]["error"]["kind"], first["breaks"]["text"]) == ("bad_request", None)
    assert "no such picture" in first["breaks"]["error"]["message"]
    assert first["strict"]["text"] == "Иванов" and "not sent: seed (backend.omit)" in notes["strict"]
    (page,) = cli.folder.glob("multirun/*/*/report.html")
    told = page.read_text()
    assert "4 of 4 answers were refused" in told and "4 of 4 answers were cut at sampling.max_tokens" in told


class _Held(BaseHTTPRequestHandler):
    """Writes JSON where it is held to a schema, and some words with a wrong value where it is not."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = '{"номер": "7"}' if "response_format" in body else 'Вот: {"номер": "1"'
        events = [
            _piece({"content": text}),
            _piece({}, "stop"),
            {"choices": [], "usage": {"completion_tokens": len(text)}},
        ]
        self.server.bodies.append(body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write("".join(f"data: {json.dumps(one)}\n\n" for one in [*events]).encode() + b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_both_ways_of_a_schema_are_asked_and_compared(cli: CommandLine):
    schema = {"type": "object", "properties": {"номер": {"type": "string"}}, "required": ["номер"]}
    (cli.folder / "schema.json").write_text(json.dumps(schema))
    page = next((ROOT / "data/demo_documents/images").glob("*.png")).read_bytes()
    (cli.folder / "1.png").write_bytes(page)
    rows = [
        {
            "id": f"{n}",
            "document": f"{n}",
            "images": ["1.png"],
            "question": f"Что {n}?",
            "references": ['{"номер": "7"}'],
        }
        for n in range(3)
    ]
    (cli.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Held) as server:
        server.bodies = []  # type: ignore[attr-defined]
        Thread(target=server.serve_forever, daemon=True).start()
        ended = cli(
            *("model=openai", "model.name=x", f"backend.base_url=http://127.0.0.1:{server.server_port}/v1"),
            *("backend.api_key_variable=null", "dataset=jsonl", "dataset.path=rows.jsonl", "metrics=[kie]", "warmup=0"),
            *("prompt.schema=schema.json", "prompt.schema_mode=both"),
        )
        bodies = server.bodies  # type: ignore[attr-defined]
        server.shutdown()
    assert ended.code == 0, ended.err
    # Both are told the schema in the same words; one is sent it as well.
    held = [body for body in bodies if "response_format" in body]
    assert len(bodies) == 6 and len(held) == 3
    assert all(body["response_format"]["json_schema"]["schema"] == schema for body in held)
    assert len({json.dumps(body["messages"], sort_keys=True) for body in bodies}) == 3
    found = {}
    for path in cli.folder.glob("multirun/*/*/*/metrics.json"):
        mode = path.parent.name.rpartition("_")[2]
        found[mode] = json.loads(path.read_text())["metrics"]
    assert {mode: (one["quality/kie_valid"], one["quality/kie_f1"]) for mode, one in found.items()} == {
        "told": (0, 0),
        "constrained": (1, 1),
    }
    (page_path,) = cli.folder.glob("multirun/*/*/report.html")
    section = page_path.read_text(encoding="utf-8").partition("told and held to it")[2]
    cells = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in section.partition("</table>")[0].split("</tr>")]
    told = [cell for cell in cells if cell]
    assert told[1].startswith("x native valid JSON 0.0 % 100.0 % +1.000"), told
    assert any("F1 of values 0.0 % 100.0 %" in row for row in told)
    assert any("tokens of an answer 18 14 -4.0" in row for row in told), told
    assert any("latency, mean" in row for row in told)
    assert "held to a schema, and those of others were not" not in ended.out  # each was run both ways
