"""`backend=openai` from the command line, against a server that somebody else started."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CommandLine
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
