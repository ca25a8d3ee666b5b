"""A job's folder: sweeps of the old layout open, its answers are read twice at most, each prompt is rendered once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from backends.api import Generation
from runner import commands
from runner.datasets.api import Sample
from runner.jobs.answers import Answers
from runner.jobs.folder import JobFolder
from runner.jobs.rows import AnswerRow
from tests.conftest import CommandLine
from tests.faults.results import ECHO

# Two jobs of three answers each, judged, as the runner left them before folders began as `running`.
OLD = Path(__file__).parent / "sweep_of_old_layout"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def test_all_of_an_old_job_is_read():
    first, second = JobFolder.below(OLD)
    assert (first.name, second.name, first.status, first.error) == ("demo_m-bf16", "demo_s-bf16", "finished", None)
    assert [row["sample_id"] for row in first.rows()] == ["0", "1", "2"] and first.count_answers() == 3
    assert set(next(first.rows())) <= set(AnswerRow.__annotations__), "a row has only what its type says"
    assert {one.name for one in first.scores()} >= {"cer", "exact_match", "score"}
    assert first.correct() == {(str(number), 0): False for number in range(3)}
    assert first.judged()["0", 0][0] == 8
    assert [one["state"] for one in first.verdicts()] == ["valid"] * 3
    assert first.metric("judge/score") == 8 and first.environment["sweep"] == "2026-11-28/10-00-00"
    assert first.config["model"]["name"] == "demo_m" and len(str(first.run_id)) == 32
    assert JobFolder.find(first.answers_path) == JobFolder.find(first.path) == first
    assert JobFolder.find(OLD) is None and JobFolder.find(first.path / "config.yaml") is None


def test_commands_read_an_old_sweep(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert commands.run("report", [str(old)]) == 0
    page = (old / "report.html").read_text(encoding="utf-8")
    assert "demo_s" in page and "question 2" in page
    jobs = [str(path) for path in sorted(old.iterdir()) if path.is_dir()]
    capsys.readouterr()
    assert commands.run("compare", [*jobs, "--measure", "cer"]) == 0
    assert "demo_s" in capsys.readouterr().out
    assert commands.run("export", [str(old), "--to", str(tmp_path / "out")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 6 and rows[0]["scores"]["cer"] == pytest.approx(1.8)


def test_an_old_sweep_is_tracked_and_scored_again(cli: CommandLine):
    folder = Path(shutil.copytree(OLD, cli.folder / "old"))
    # A database named by a relative path would lie where that sweep was started.
    cli.environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{cli.folder}/mlflow.db"
    ended = cli("old", module="runner.sync")
    assert ended.code == 0, ended.err
    client = MlflowClient(f"sqlite:///{cli.folder}/mlflow.db")
    run = client.get_run(str(JobFolder.below(folder)[0].run_id))
    assert run.info.status == "FINISHED" and run.data.metrics["quality/cer"] == pytest.approx(1.8)
    ended = cli("stage=score", "answers=old", "metrics=[wer]", "tracking=none")
    assert ended.code == 0, ended.err
    for job in JobFolder.below(folder):
        assert job.metric("quality/wer") is not None and job.metric("quality/cer") == pytest.approx(1.8)
        assert {"wer", "cer", "score"} <= {one.name for one in job.scores()}, "older scores stay"


# Loaded by every Python process of the command. It counts what our own code opens to read, and the prompts that are
# rendered. MLflow copies the file, byte by byte, into the run's artifacts.
COUNTING = """
import os, sys, traceback
_log = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def _hook(event, args):
    if event == "open" and str(args[0]).endswith("answers.jsonl") and args[1] == "r":
        callers = [one.filename for one in traceback.extract_stack() if "pathlib" not in one.filename]
        if "mlflow" not in callers[-2]:
            os.write(_log, f"read\\t{args[0]}\\n".encode())
sys.addaudithook(_hook)
import runner.prompts.template as _template
_render = _template.Template.render
def _counted(self, sample):
    os.write(_log, f"rendered\\t{sample.id}\\n".encode())
    return _render(self, sample)
_template.Template.render = _counted
"""


def test_answers_are_read_twice_at_most_and_each_prompt_is_rendered_once(cli: CommandLine):
    """The command with tracking on and its report: once for MLflow's table, once for the report, never to score."""
    (cli.folder / "counting").mkdir()
    (cli.folder / "counting" / "sitecustomize.py").write_text(COUNTING)
    cli.environment["PYTHONPATH"] = f"{cli.folder}/counting:{cli.environment['PYTHONPATH']}"
    for run in ("first", "again"):  # asked, and found in the store
        log = cli.folder / f"{run}.log"
        cli.environment["COUNTED"] = str(log)
        ended = cli(*ECHO, "sampling.repeats=2", "concurrency=4", f"hydra.run.dir={run}")
        assert ended.code == 0, ended.err
        counted = [line.split("\t") for line in log.read_text(encoding="utf-8").splitlines()]
        assert len([path for what, path in counted if what == "read"]) == 2, counted
        ids = [row["sample_id"] for row in JobFolder(cli.folder / run).rows() if row["repeat"] == 0]
        rendered = [sample for what, sample in counted if what == "rendered"]
        # The check before a job renders one sample of each kind: what has a question, a field and so on, and what not.
        assert len(ids) == 8 and sorted(set(rendered)) == sorted(ids) and len(rendered) <= len(ids) + 2
    assert JobFolder(cli.folder / "again").metric("samples/reused") == 16


def test_answers_lie_in_the_order_of_the_samples_whatever_order_they_come_in(tmp_path: Path):
    folder = JobFolder(tmp_path)
    samples = [Sample(str(number), "d", (), f"Вопрос {number}", ("1",), "", "") for number in range(4)]
    answers = Answers(folder)
    for place in (2, 0, 3, 1):
        answers.add(place, samples[place], 0, Generation(f"k{place}", f"ответ {place} \ud800", None), f"prompt {place}")
        assert folder.count_answers() == answers.seen.total, "written at once"
    cases = answers.close()
    assert [case.sample_id for case in cases] == [row["sample_id"] for row in folder.rows()] == ["0", "1", "2", "3"]
    assert cases == list(folder.cases()), "what is scored is what the file holds"
    assert [row["prompt"] for row in folder.rows()] == [f"prompt {number}" for number in range(4)]
    assert {path.name for path in tmp_path.iterdir()} == {"answers.jsonl"}
