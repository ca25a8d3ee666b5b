"""MLflow: one flat run per job folder, the same however often it is uploaded."""

import base64
import contextlib
import json
import shlex
import sqlite3
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from omegaconf import OmegaConf
from PIL import Image

from runner import commands
from runner.base.tracking_address import ui_command
from runner.jobs import answers_table, tracking
from tests.conftest import ROOT
from tests.runner.job_folders import job_folder


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared SQLite database; making one takes seconds, so the tests share it."""
    folder = tmp_path_factory.mktemp("tracking")
    tracking.prepare(f"sqlite:///{folder}/mlflow.db", "documents")
    return folder / "mlflow.db"


@pytest.fixture
def uri(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    return f"sqlite:///{database}"


def test_upload_fills_a_run(uri: str, tmp_path: Path):
    folder = job_folder(tmp_path / "job_a", "model=demo_s", "tracking.experiment=upload")
    run_id = tracking.upload(folder)
    client = MlflowClient(uri)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "demo_s-bf16-hf"
    assert (run.info.start_time, run.info.end_time) == (1_700_000_000_000, 1_700_000_065_000)
    assert run.data.metrics["quality/cer"] == 0.25
    params = run.data.params
    assert (params["model"], params["quant"], params["backend"], params["prompt"]) == ("demo_s", "bf16", "hf", "plain")
    assert params["sampling.temperature"] == "0.0" and params["concurrency"] == "1" and params["metric.cer"] == "1"
    assert run.data.tags["runner.kind"] == "job" and run.data.tags["runner.sweep"] == "day/time"
    assert "mlflow.parentRunId" not in run.data.tags, "runs are flat"
    artifacts = {artifact.path for artifact in client.list_artifacts(run_id)}
    assert {"config.yaml", "answers.jsonl", "scores.jsonl", "metrics.json", "answers.json"} <= artifacts
    table = json.loads(Path(client.download_artifacts(run_id, "answers.json", str(tmp_path))).read_text())
    assert table["columns"][:6] == ["sample_id", "answer", "image", "question", "reference", "correct"]
    assert table["data"][0][:6] == ["0", "Петров", "1.png", "Напиши Фамилия", "Петров", "yes"]
    assert table["data"][1][1] == "(failed: timeout)" and table["data"][1][5] == ""


def test_upload_twice_changes_nothing(uri: str, tmp_path: Path):
    folder = job_folder(tmp_path / "job_b", "tracking.experiment=twice")
    first = tracking.upload(folder)
    assert tracking.upload(folder) == first
    (folder / "run_id").unlink()
    assert tracking.upload(folder) == first, "found again by the job's uid"
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("twice").experiment_id
    assert len(client.search_runs([experiment])) == 1
    assert len(client.get_metric_history(first, "quality/cer")) == 1


def test_failed_job_is_a_failed_run(uri: str, tmp_path: Path):
    run_id = tracking.upload(job_folder(tmp_path / "job_c", error="the engine died\nCUDA out of memory"))
    run = MlflowClient(uri).get_run(run_id)
    assert run.info.status == "FAILED" and "out of memory" in run.data.tags["runner.error"]


def test_an_upload_that_breaks_leaves_no_run_running(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = job_folder(tmp_path / "job_d", "tracking.experiment=breaks")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(answers_table, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tracking.upload(folder)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("breaks").experiment_id
    assert [run.info.status for run in client.search_runs([experiment])] == ["KILLED"]
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracking.upload(folder)
    assert [run.info.status for run in client.search_runs([experiment])] == ["FINISHED"]


def test_stale_runs_of_this_host_are_closed(uri: str):
    client = MlflowClient(uri)
    experiment = client.create_experiment("stale")
    tags = {"runner.host": __import__("platform").node(), "runner.pid": "999999999"}
    stale = client.create_run(experiment, tags=tags).info.run_id
    elsewhere = client.create_run(experiment, tags=tags | {"runner.host": "another"}).info.run_id
    tracking.prepare(uri, "stale")
    assert client.get_run(stale).info.status == "KILLED"
    assert client.get_run(elsewhere).info.status == "RUNNING", "another host's run may be alive"


def test_a_run_is_stale_when_its_number_is_another_processes(uri: str):
    client = MlflowClient(uri)
    experiment = client.create_experiment("reused")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        tags = {"runner.host": __import__("platform").node(), "runner.pid": str(process.pid)}
        now = int(time.time() * 1000)
        alive = client.create_run(experiment, start_time=now, tags=tags).info.run_id
        reused = client.create_run(experiment, start_time=now - 3_600_000, tags=tags).info.run_id
        tracking.prepare(uri, "reused")
        assert client.get_run(alive).info.status == "RUNNING"
        assert client.get_run(reused).info.status == "KILLED", "the process began an hour after the run"
    finally:
        process.kill()
        process.wait()


def test_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(tracking.TrackingError) as caught:
        tracking.upload(job_folder(tmp_path / "job_e"))
    assert "secret" not in str(caught.value)


def test_sync_uploads_what_was_not_tracked(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    job_folder(tmp_path / "sweep" / "0_job", "tracking.experiment=sync")
    job_folder(tmp_path / "sweep" / "1_job_", "tracking.experiment=sync")
    assert commands.run("sync", [str(tmp_path / "sweep"), str(tmp_path / "nothing")]) == 1
    assert "no job in there" in capsys.readouterr().err
    client = MlflowClient(uri)
    assert len(client.search_runs([client.get_experiment_by_name("sync").experiment_id])) == 2


def test_runs_are_compared_by_their_ids(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = ("metrics=[]", "tracking.experiment=compared")
    runs = [
        tracking.upload(job_folder(tmp_path / name, *options, f"concurrency={number}", **{"latency/p95_s": number}))
        for number, name in ((1, "one"), (4, "four"))
    ]
    assert commands.run("compare", [*runs, "--fail-if", "latency/p95_s>+10%"]) == 1
    captured = capsys.readouterr()
    assert "concurrency" in captured.out and "+300.0%" in captured.err
    assert commands.run("compare", [runs[0], "0" * 32]) == 2
    assert "compare: " in capsys.readouterr().err


def with_tracking(folder: Path, **options: object) -> Path:
    """Change what a job's config says of tracking."""
    config = OmegaConf.load(folder / "config.yaml")
    OmegaConf.save(OmegaConf.merge(config, {"tracking": options}), folder / "config.yaml")
    return folder


def test_a_run_says_how_it_did_and_how_to_repeat_it(uri: str, tmp_path: Path):
    options = (
        "model=demo_s",
        "quant=w4a16",
        "prompt=describe",
        "+backend.engine_args.x=a/b/c",
        "tracking.experiment=told",
    )
    folder = job_folder(tmp_path / "job", *options, **{"latency/p95_s": 0.1234})
    run = MlflowClient(uri).get_run(tracking.upload(folder))
    assert run.info.run_name == "demo_s-w4a16-hf prompt=describe backend.engine_args.x=c"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**cer 0.250 [0.200, 0.300]; p95 0.123 s** (2 answers, 1 failed)")
    assert "python -m runner model=demo_s quant=w4a16 prompt=describe +backend.engine_args.x=a/b/c" in note
    assert "| dataset | demo_documents |" in note
    tags = run.data.tags
    assert (tags["model"], tags["quant"], tags["backend"], tags["prompt"]) == ("demo_s", "w4a16", "hf", "describe")
    failed = job_folder(tmp_path / "failed", "tracking.experiment=told", error="CUDA out of memory\nat line 7")
    note = MlflowClient(uri).get_run(tracking.upload(failed)).data.tags["mlflow.note.content"]
    assert note.startswith("**failed**: CUDA out of memory")


def test_the_dataset_is_logged_once_with_its_digest(uri: str, tmp_path: Path):
    folder = job_folder(tmp_path / "job", "dataset.limit=7", "tracking.experiment=data")
    environment = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps(environment | {"dataset_digest": "d" * 64}))
    run_id = tracking.upload(folder)
    assert tracking.upload(folder) == run_id
    (found,) = MlflowClient(uri).get_run(run_id).inputs.dataset_inputs
    assert (found.dataset.name, found.dataset.digest) == ("demo_documents", "d" * 36)
    assert json.loads(found.dataset.profile) == {"answers": 2, "split": "test", "limit": 7}


def test_a_dataset_that_a_parallel_job_lists_at_the_same_moment(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tried: list[str] = []
    log_inputs = MlflowClient.log_inputs

    def raced(self: MlflowClient, run_id: str, datasets: list[Any]) -> None:
        tried.append(run_id)
        if len(tried) == 1:  # what the server answers to one of four
            raise MlflowException("BAD_REQUEST: (psycopg.errors.UniqueViolation) duplicate key value: dataset_pk")
        log_inputs(self, run_id, datasets=datasets)

    monkeypatch.setattr(MlflowClient, "log_inputs", raced)
    run_id = tracking.upload(job_folder(tmp_path / "job", "tracking.experiment=raced"))
    run = MlflowClient(uri).get_run(run_id)
    assert run.info.status == "FINISHED" and len(run.inputs.dataset_inputs) == 1
    assert tried == [run_id, run_id]


def traced(uri: str, run_id: str) -> list[Any]:
    client = MlflowClient(uri)
    experiment = client.get_run(run_id).info.experiment_id
    return list(client.search_traces(locations=[experiment], run_id=run_id))


def attachments(trace: Any) -> list[Path]:
    """The files that MLflow makes of the data URLs in a trace."""
    return [path for path in Path(trace.info.tags["mlflow.artifactLocation"]).rglob("attachments/*") if path.is_file()]


def test_traces_hold_answers_and_their_pictures_where_they_are_asked_for(uri: str, tmp_path: Path):
    Image.new("RGB", (3000, 1000), "white").save(tmp_path / "1.png")
    folder = with_tracking(job_folder(tmp_path / "job", "tracking.experiment=traces"), traces="all")
    answers = folder / "answers.jsonl"
    text = answers.read_text(encoding="utf-8").replace("images/1.png", f"{tmp_path}/1.png")
    answers.write_text(text, encoding="utf-8")
    run_id = tracking.upload(folder)
    assert tracking.upload(folder) == run_id
    right, failed = sorted(traced(uri, run_id), key=lambda trace: trace.info.tags["runner.answer"])
    assert (right.info.tags["correct"], right.info.state) == ("yes", "OK")
    assert failed.info.state == "ERROR" and failed.info.tags["correct"] == ""
    root, child = right.data.spans
    assert root.inputs == {"sample_id": "0", "question": "Напиши Фамилия"} and root.outputs == {"answer": "Петров"}
    assert child.inputs["messages"][0]["content"][0]["image_url"]["url"]
    pictures = attachments(right) + attachments(failed)
    assert len(pictures) == 2
    with Image.open(pictures[0]) as shown:
        assert max(shown.size) == 1024
    assert failed.data.spans[0].outputs == {"answer": "timeout: after 3 s"}


@pytest.mark.parametrize(("asked", "count"), [("none", 0), ("failed", 1)])
def test_traces_of_what_went_wrong_and_no_pictures(uri: str, tmp_path: Path, asked: str, count: int):
    Image.new("RGB", (56, 56)).save(tmp_path / "1.png")
    options = f"tracking.experiment=traces_{asked}"
    folder = with_tracking(job_folder(tmp_path / "job", options), traces=asked, images=False)
    answers = folder / "answers.jsonl"
    text = answers.read_text(encoding="utf-8").replace("images/1.png", f"{tmp_path}/1.png")
    answers.write_text(text, encoding="utf-8")
    run_id = tracking.upload(folder)
    found = traced(uri, run_id)
    assert len(found) == count
    for trace in found:
        assert "base64" not in trace.to_json()
        content = trace.data.spans[1].inputs["messages"][0]["content"]
        assert [part["type"] for part in content] == ["text", "text"] and content[0]["text"] == "[picture: 1.png]"
        assert not attachments(trace)


def test_link_opens_a_view_of_the_sweep(uri: str, tmp_path: Path):
    for quant in ("bf16", "w4a16"):
        options = (f"quant={quant}", "tracking.experiment=views")
        tracking.upload(job_folder(tmp_path / quant, *options, **{"latency/p95_s": 1.0, "quality/wer": 0.5}))
    link = tracking.link(uri, "views", "day/time")
    assert link.endswith("/runs?workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey=runner-day-time")
    tags = MlflowClient(uri).get_experiment_by_name("views").tags
    packed = tags["mlflow.sharedViewState.runner-day-time"].removeprefix("deflate;")
    state = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert state["searchFilter"] == 'tags."runner.sweep" = "day/time" and tags."runner.kind" = "job"'
    assert state["selectedColumns"] == [
        "attributes.`Dataset`", "params.`model`", "params.`quant`", "metrics.`quality/cer`", "metrics.`latency/p95_s`",
    ]  # fmt: skip
    shown = ["params.`model`", "params.`quant`", "metrics.`quality/cer`", "metrics.`latency/p95_s`"]
    assert state["columnOrder"] == [*shown, "attributes.`Dataset`"], "not by the alphabet"
    assert [chart["type"] for chart in state["compareRunCharts"]] == ["SCATTER", "PARALLEL", "BAR", "BAR"]
    assert "viewStateShareKey" not in tracking.link(uri, "views", "another/sweep"), "nothing to show"


def test_link_opens_the_page_that_compares(uri: str):
    link = tracking.link(uri, "documents")
    assert link.startswith("http://127.0.0.1:5000/#/experiments/")
    assert link.endswith("/runs?workflowType=machine_learning&compareRunsMode=CHART")


def test_quality_stands_first_where_mlflow_keeps_the_order_of_logging(uri: str, tmp_path: Path):
    figures = {
        "samples/total": 2.0, "engine/load_s": 9.0, "quality/wer": 0.5, "quality/cer/by/passport": 0.1,
        "latency/p95_s": 1.0, "quality/exact_match": 0.75, "quality/cer_mean": 0.3, "text/length_mean": 7.0,
        "judge/ratio": 0.9,
    }  # fmt: skip
    folder = job_folder(tmp_path / "job", "tracking.experiment=ordered", **figures)
    run = MlflowClient(uri).get_run(tracking.upload(folder))
    shown = list(run.data.metrics)  # as mlflow 3.17's page of a run and its evaluation runs show them
    first = ["quality/exact_match", "quality/cer", "judge/ratio", "quality/wer", "latency/p95_s", "samples/failed"]
    assert shown[:6] == first
    assert shown[-1] == "quality/cer/by/passport", "single classes last"
    assert shown.index("quality/cer_mean") < shown.index("engine/load_s")
    assert set(shown) == set(json.loads((folder / "metrics.json").read_text())["metrics"])


def test_the_command_shows_this_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is printed, put into a shell from another folder, names the database that was written."""
    (folder := tmp_path / "my runs").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    plain = ui_command("sqlite:///mlflow.db")
    assert plain is not None and shlex.split(plain)[-2:] == ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    assert plain.startswith("python -m mlflow ui --host 127.0.0.1 --port 5000 ")
    assert shlex.split(ui_command("runs of ours") or "")[-1] == str(folder / "runs of ours")
    for server in ("http://mlflow.example:80", "https://mlflow.example", "databricks", "databricks://profile"):
        assert ui_command(server) is None, "a server shows itself"
    secret = "postgresql://me:hunter2@host/runs"
    assert "hunter2" not in (ui_command(secret) or "hunter2")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", secret)
    assert (ui_command(secret) or "").endswith('--backend-store-uri "$MLFLOW_TRACKING_URI"')
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert ui_command("sqlite:///mlflow.db") == "make ui"
    assert ui_command("sqlite:///other.db") != "make ui", "make ui would show another one"


def test_a_database_is_made_and_filled_without_mlflow_in_this_process(tmp_path: Path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    folder = job_folder(tmp_path / "job", f"tracking.uri={uri}", "tracking.experiment=alone")
    program = f"""if True:
        import logging, sys
        from pathlib import Path
        from runner.jobs.tracking import background
        logging.basicConfig(level=logging.INFO)
        background.start({uri!r}, "alone", low=True)
        background.upload("job", Path({str(folder)!r}))
        background.upload("other", Path({str(tmp_path / "absent")!r}))
        background.settle()
        background.start("sqlite:////proc/absent/mlflow.db", "alone", low=False)
        background.settle()
        background.stop()
        assert "mlflow" not in sys.modules
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "uploading to MLflow" in ended.stderr, "its log comes here"
    assert "other: not tracked" in ended.stderr and "FileNotFoundError" in ended.stderr, "an error is told"
    assert "tracking is not available" in ended.stderr and "absent" in ended.stderr
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("alone").experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"], "once"
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    assert {"experiments", "runs", "alembic_version"} <= tables
