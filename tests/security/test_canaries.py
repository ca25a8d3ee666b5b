"""Secrets planted everywhere a user may have one; afterwards nothing that is left may hold any."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning.plan import plan
from tests.conftest import CommandLine
from tests.faults.results import ECHO, engines, jobs, wait_for
from tests.patience import patient

CANARIES = {
    "OPENAI_API_KEY": "canary-openai-7f3a91",
    "HF_TOKEN": "hf_canaryAbCdEf0123456789",
    "TEAM_HEADER_TOKEN": 'canary "quoted" 4/5+6',
    "DB_PASSWORD": "canarywithoutdigits",
    "MLFLOW_TRACKING_TOKEN": "canary-tracking-99",
}
IN_ADDRESSES = "canary-of-an-address"


def leaks(text: bytes) -> list[str]:
    found = [name for name, value in CANARIES.items() for form in (value, json.dumps(value)[1:-1])
             if form.encode() in text]  # fmt: skip
    return found + ([IN_ADDRESSES] if IN_ADDRESSES.encode() in text else [])


def assert_nothing_leaked(cli: CommandLine, *said: str, more: tuple[str, ...] = ()) -> None:
    files = [path for path in cli.folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    leaked = {str(path.relative_to(cli.folder)): leaks(path.read_bytes()) for path in files}
    for text in more:
        leaked |= {str(path): [text] for path in files if text.encode() in path.read_bytes()}
    assert {path: what for path, what in leaked.items() if what} == {}
    assert leaks("".join(said).encode()) == []


def command_lines() -> bytes:
    """Return what anybody on this machine can read of the runner's processes."""
    found = []
    for process in psutil.process_iter():
        try:
            found.append("\0".join(process.cmdline()).encode())
        except psutil.Error:
            continue
    return b"\n".join(found)


def test_an_engine_that_tells_its_log_everything(cli: CommandLine):
    """Secrets of the environment, its own key, a Bearer header, an address: in the log, then in a crash report."""
    cli.environment |= CANARIES | {"TEAM_DB": f"postgresql://team:{IN_ADDRESSES}@db.example/x"}
    failing = ("+backend.engine_args.shout=1", "+backend.engine_args.fail_on=Имя", "+backend.engine_args.crash_after=7")
    process = cli.start("-m", *ECHO, *failing, "backend.retries=0", "+backend.engine_args.delay_s=0.3")
    (engine,) = wait_for(lambda: engines(cli.folder / "store"))
    key = engine.environ()["RUNNER_ENGINE_KEY"]
    seen = command_lines()
    assert b"echo_engine.server" in seen and key.encode() not in seen and leaks(seen) == []
    listening = wait_for(lambda: [one for one in engine.net_connections() if one.status == "LISTEN"])
    assert {one.laddr.ip for one in listening} == {"127.0.0.1"}, "this machine only"
    output, _ = process.communicate(timeout=patient(90))
    assert process.returncode == 1 and "EchoCrash" in output
    (job,) = jobs(cli.folder)
    log = (job["folder"] / "engine.log").read_text()
    assert "echo engine serving" in log and "RUNNER_ENGINE_KEY" in log and '"HF_TOKEN": "***"' in log
    assert "postgresql://***@db.example" in log and "Bearer ***" in log
    assert any("told to fail" in row["error"]["message"] for row in job["rows"] if row["error"])
    assert (cli.folder / "mlflow.db").exists()
    assert_nothing_leaked(cli, output, more=(key, "abcdef-0123456789"))


@pytest.fixture
def url(third_party: Path) -> Iterator[str]:
    """An endpoint that repeats its headers in a refusal."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "echo_engine.server", f"--port={port}", "--shout=1", "--fail_on=Имя"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(third_party)}, **quiet)
    with socket.socket() as probe:
        wait_for(lambda: process.poll() is None and probe.connect_ex(("127.0.0.1", port)) == 0)
    yield f"http://127.0.0.1:{port}/v1"
    process.kill()
    process.wait()


def test_an_endpoint_that_repeats_its_headers_and_a_tracking_server_with_a_password(cli: CommandLine, url: str):
    cli.environment |= CANARIES
    cli.environment |= {"MLFLOW_TRACKING_URI": f"http://team:{IN_ADDRESSES}@127.0.0.1:9"}
    cli.environment |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    header = "+backend.headers={X-Team: $TEAM_HEADER_TOKEN, X-Db: 'Basic $DB_PASSWORD'}"
    asked = ("model=openai", "model.name=m", f"backend.base_url={url}", "dataset.limit=8", "metrics=[exact_match]")
    seen: list[bytes] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.wait(0.2):
            seen.append(command_lines())

    thread = threading.Thread(target=watch)
    thread.start()
    ended = cli("-m", *asked, header, "backend.retries=0")
    watching.set()
    thread.join()
    assert ended.code == 0, ended.err
    (job,) = jobs(cli.folder)
    refused = [row["error"]["message"] for row in job["rows"] if row["error"]]
    assert refused and "'X-Team': '***'" in refused[0] and "'X-Db': '***'" in refused[0]
    assert leaks(b"\n".join(seen)) == []
    assert "tracking is not available" in ended.err
    assert_nothing_leaked(cli, ended.out, ended.err)
    again = subprocess.run(
        cli.command(str(job["folder"]), module="runner.sync"),
        cwd=cli.folder, env=cli.environment, capture_output=True, text=True, timeout=patient(60),
    )  # fmt: skip
    assert again.returncode == 1 and leaks((again.stdout + again.stderr).encode()) == []


REFUSED = {
    "a header's name": ["+backend.headers={X-Api-Key: abcdefgh}"],
    "what a header holds": ["+backend.headers={X-Team: 'Bearer abc123456789'}"],
    "a header that the shell filled in": ["+backend.headers={X-Team: canary-openai-7f3a91}"],
    "a header read into the config": ["+backend.headers={X-Team: '${oc.env:OPENAI_API_KEY}'}"],
    "an engine's argument": ["+backend.engine_args.hf_token=abcdefghij"],
    "an engine's argument read into it": ["+backend.engine_args.api_key='${oc.env:OPENAI_API_KEY}'"],
    "an address with a password": [f"backend.base_url=http://me:{IN_ADDRESSES}@127.0.0.1:9/v1"],
    "an address with a key": [f"backend.base_url=http://{IN_ADDRESSES}@127.0.0.1:9/v1"],
    "a tracking server with a password": [f"tracking.uri=http://me:{IN_ADDRESSES}@127.0.0.1:9"],
    "a path with a password": [f"dataset.path=s3://me:{IN_ADDRESSES}@bucket/x"],
    "a variable for the engine": ["+env.variables.HF_TOKEN=abcdefghij", "env=uv"],
    "a name read from the environment": ["dataset.name='${oc.env:OPENAI_API_KEY}'"],
    "MLflow's experiment read from there": ["tracking.experiment='of ${oc.env:DB_PASSWORD}'"],
    "a token anywhere": ["prompt.system=sk-proj-0123456789abcdef"],
}


ENDPOINT = ["model=openai", "model.name=m", "backend.base_url=http://127.0.0.1:9/v1", "tracking=none"]


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED.keys())
def test_a_secret_in_a_config_is_refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch):
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    config.register()
    base = ENDPOINT if any("headers" in one or "base_url" in one for one in arguments) else []
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        cfg = compose("config", [*base, *arguments])
    with pytest.raises(Refused) as refused:
        plan(cfg)
    words = str(refused.value)
    assert "would be kept in files" in words or "command line" in words
    assert leaks(words.encode()) == [] and "abcdefgh" not in words and "0123456789" not in words


@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["job", "sweep"])
def test_what_is_refused_is_written_nowhere(cli: CommandLine, sweep: list[str]):
    cli.environment |= CANARIES
    ended = cli(*sweep, *ENDPOINT, "+backend.headers={X-Team: canary-openai-7f3a91}")
    assert ended.code == 2 and "OPENAI_API_KEY" in ended.err and "$NAME" in ended.err
    assert leaks((ended.out + ended.err).encode()) == [] and cli.left() == set()
