"""The report in MLflow: one run per sweep, made again in place; a report from an experiment or from runs."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from runner import commands
from runner.jobs import tracking
from runner.jobs.folder import JobFolder
from runner.report import background, tracked
from tests.runner.report.jobs import scored_job


def logged(folder: Path, path: Path, tables: Sequence[Path] = ()) -> str | None:
    """Write the page of a folder's jobs and bring it to MLflow, as the end of a sweep does."""
    results = JobFolder.below(folder)
    made = background.write(results, path, "title")
    return tracked.log(results, made.note, path, tables, has_pictures=made.has_pictures)


@pytest.fixture
def tracked_jobs(tmp_path: Path) -> tuple[str, Path]:
    uri, folder = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "sweep"
    tracking.prepare(uri, "documents")
    for name, model in (("a", "demo_m"), ("bb", "demo_s")):
        override = (f"model={model}", f"tracking.uri={uri}")
        tracking.upload(scored_job(folder / name, *override, answers=["да"] * 9, references=["да"] * 9))
    return uri, folder


def test_one_run_per_sweep(tracked_jobs: tuple[str, Path]):
    uri, folder = tracked_jobs
    path = folder / "report.html"
    (table := folder / "parity.json").write_text("[]")
    runs = [logged(folder, path, [table]) for _ in range(2)]
    assert runs[0] == runs[1] is not None
    connection = tracking.client(uri)
    assert connection.get_run(runs[0]).data.tags["runner.kind"] == "report"
    assert [artifact.path for artifact in connection.list_artifacts(runs[0])] == ["parity.json", "report.html"]


@pytest.mark.parametrize(("limit", "listed"), [(400, []), (0, ["report.html"])])
def test_no_page_with_pictures_is_uploaded_where_none_may_be(tmp_path: Path, limit: int, listed: list[str]):
    uri, folder = f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "sweep"
    tracking.prepare(uri, "documents")
    for name, model in (("a", "demo_m"), ("bb", "demo_s")):
        given = (f"model={model}", f"tracking.uri={uri}", "tracking.images=false", f"report.pictures.limit={limit}")
        scored_job(folder / name, *given, answers=["да"] * 9, references=["да"] * 9)
    path = folder / "report.html"
    run_id = logged(folder, path)
    assert run_id is not None
    connection = tracking.client(uri)
    assert [artifact.path for artifact in connection.list_artifacts(run_id)] == listed
    assert connection.get_run(run_id).data.tags["mlflow.note.content"]


def test_a_single_job_has_no_run_for_its_report(tracked_jobs: tuple[str, Path]):
    _, folder = tracked_jobs
    path = folder / "report.html"
    assert logged(folder / "a", path) is None


def test_report_of_an_experiment_and_of_runs(
    tracked_jobs: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    uri, folder = tracked_jobs
    out = tmp_path / "out.html"
    assert commands.run("report", ["--experiment", "documents", "--tracking-uri", uri, "--out", str(out)]) == 0
    assert "2 candidates compared" in out.read_text(encoding="utf-8")
    run = (folder / "a" / "run_id").read_text().strip()
    assert commands.run("report", [run, "--tracking-uri", uri, "--out", str(out)]) == 0
    assert "1 candidate compared" in out.read_text(encoding="utf-8")
    assert commands.run("report", ["--experiment", "nothing", "--tracking-uri", uri]) == 2
    assert "no finished job is in the experiment 'nothing'" in capsys.readouterr().err
