"""A job that is killed with -9: all that reads jobs finds it, says that it is unfinished, and has its answers."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from runner.jobs.folder import JobFolder
from runner.report import loading
from tests.conftest import CommandLine
from tests.faults.results import ECHO, nothing_left, wait_for
from tests.patience import patient

TOTAL = 60
QUICK = (*ECHO, f"dataset.limit={TOTAL}", "tracking=none", "hydra.run.dir=swept/done")
SLOW = (*ECHO, f"dataset.limit={TOTAL}", "concurrency=2", "sampling.seed=7", "+backend.engine_args.delay_s=1")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, make_cli) -> tuple[CommandLine, str]:
    """A folder with a job that finished and one that was killed after some answers; what a report said while it ran."""
    cli = make_cli(tmp_path_factory.mktemp("killed"))
    assert cli(*QUICK).code == 0
    process = cli.start(*SLOW, "hydra.run.dir=swept/killed")
    killed = cli.folder / "swept" / "killed"
    wait_for(lambda: process.poll() is not None or JobFolder(killed).count_answers() >= 2)
    while_running = cli("swept", module="runner.report").out
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=patient(30))
    assert nothing_left(cli.folder / "store")
    return cli, while_running


def killed_of(cli: CommandLine) -> JobFolder:
    return JobFolder(cli.folder / "swept" / "killed")


def test_a_job_that_runs_is_told_from_one_that_was_killed(swept):
    cli, while_running = swept
    assert "still running (process" in while_running and f"of {TOTAL} answers so far" in while_running
    assert "FAILED" not in while_running
    job = killed_of(cli)
    assert job.record["status"] == "running" and job.status == "unfinished"


def test_the_report_lists_it_with_what_it_had_and_neither_scores_nor_ranks_it(swept):
    cli, _ = swept
    had = len(list(killed_of(cli).rows()))
    assert 2 <= had < TOTAL
    ended = cli("swept", module="runner.report")
    assert ended.code == 0, ended.err
    assert (
        f"unfinished, with {had} of {TOTAL} answers" in ended.out
        and "the same command" in ended.out.replace("\n", " ").lower()
    )
    assert f"unfinished, with {had} of {TOTAL} answers" in (cli.folder / "swept" / "report.html").read_text(
        encoding="utf-8"
    )
    results = JobFolder.below(cli.folder / "swept")
    (compared,) = loading.build(results, loading.settings_of(results), "title", cli.folder).comparisons
    done, killed = compared.candidates
    assert (done.finished, killed.finished) == (True, False)
    assert len(killed.answers) == had and not killed.runs
    assert not [name for name in killed.result.metrics if name.startswith(("quality/", "latency/"))]
    assert compared.baseline is done


def test_compare_export_and_sync_say_so_too(swept):
    cli, _ = swept
    had = killed_of(cli).count_answers()
    told = f"unfinished, with {had} of {TOTAL} answers"
    compared = cli("swept/done", "swept/killed", "--fail-if", "quality/cer>+0.1", module="runner.compare")
    assert told in compared.out.replace("\n", " ") and compared.code == 2, compared.out + compared.err
    assert "has not finished, it is unfinished" in compared.err
    exported = cli("swept", "--to", "out", "--only", "answers", module="runner.export")
    assert exported.code == 0 and told in exported.err
    rows = [json.loads(line) for line in (cli.folder / "out" / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == TOTAL + had
    synced = cli("swept/killed", module="runner.sync")
    assert synced.code == 0 and told in synced.out, synced.err
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{cli.folder}/mlflow.db")
    run = client.get_run(str(killed_of(cli).run_id))
    assert run.info.status == "KILLED" and told in run.data.tags["runner.error"]
    assert "answers.json" in {one.path for one in client.list_artifacts(run.info.run_id)}


def test_the_same_command_asks_only_the_rest(swept):
    cli, _ = swept
    had = killed_of(cli).count_answers()
    few_more = f"dataset.limit={had + 4}"
    ended = cli(*SLOW, few_more, "hydra.run.dir=again", "tracking=none")
    assert ended.code == 0, ended.err
    job = JobFolder(cli.folder / "again")
    assert had <= job.metric("samples/reused") <= had + 2, (
        "what was stored and not written is at most what was asked then"
    )
    every = [row["sample_id"] for row in JobFolder(cli.folder / "swept" / "done").rows()]
    assert [row["sample_id"] for row in job.rows()] == every[: had + 4], "in the order of the samples"


def test_it_can_be_scored_and_stays_unfinished(swept):
    cli, _ = swept
    ended = cli("stage=score", "answers=swept/killed", "metrics=[exact_match]", "tracking=none")
    assert ended.code == 0, ended.err
    job = killed_of(cli)
    assert job.has_scores and job.metric("quality/exact_match") is not None and job.status == "unfinished"
    assert "UNFINISHED" in ended.out


def test_a_torn_last_line_is_no_answer(swept, tmp_path: Path):
    cli, _ = swept
    torn = tmp_path / "torn"
    torn.mkdir()
    for file in killed_of(cli).path.iterdir():
        (torn / file.name).write_bytes(file.read_bytes())
    with (torn / "answers.jsonl").open("ab") as file:
        file.write('{"sample_id": "7", "text": "Ив'.encode())
    assert len(list(JobFolder(torn).rows())) == JobFolder(torn).count_answers() == killed_of(cli).count_answers()


def test_a_number_that_another_process_has_by_now_is_not_taken_for_the_job(swept, tmp_path: Path):
    cli, _ = swept
    folder = tmp_path / "job"
    folder.mkdir()
    record = dict(killed_of(cli).record)
    mine = {"pid": os.getpid(), "host": record["process"]["host"], "started_at": psutil.Process().create_time()}
    for process, status in ((mine, "running"), ({**mine, "started_at": 1.0}, "unfinished"), ({}, "unfinished")):
        (folder / "metrics.json").write_text(json.dumps({**record, "process": process}))
        assert JobFolder(folder).status == status
    (folder / "metrics.json").write_text(json.dumps({**record, "process": {**mine, "host": "elsewhere"}}))
    assert "can't be seen from here" in str(JobFolder(folder).error)
