"""`max_failed`: a job in which too many fail ends early, with the reason."""

import pytest

from runner.asking.ask_all import allowed_failures
from tests.conftest import CommandLine
from tests.faults.results import ECHO, jobs


@pytest.mark.parametrize(
    ("max_failed", "total", "allowed"), [(0.05, 100, 5), (0.05, 8, 0.4), (3, 8, 3), (1, 100, 1), (0, 8, 0)]
)
def test_a_share_or_a_number(max_failed: float, total: int, allowed: float):
    assert allowed_failures(max_failed, total) == pytest.approx(allowed)
    assert allowed_failures(None, total) is None


def test_one_failure_too_many_ends_the_job(cli: CommandLine):
    record = cli.folder / "asked"
    failing = (*ECHO, "+backend.engine_args.fail_on=Имя", f"+backend.engine_args.record={record}", "backend.retries=0")
    ended = cli("-m", *failing, "max_failed=0.05,4", f"tracking.uri=sqlite:///{cli.folder}/mlflow.db")
    assert ended.code == 1 and "Traceback" not in ended.err
    early, whole = jobs(cli.folder)
    assert (early["status"], whole["status"]) == ("failed", "finished"), "four are allowed, and fewer failed"
    assert "max_failed allows: the job was ended early" in early["error"]
    assert len(early["rows"]) < 8
    assert "told to fail" in ended.out
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{cli.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("documents").experiment_id
    runs = client.search_runs([experiment], "tags.`runner.kind` = 'job'")
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
    (tagged,) = [run.data.tags["runner.error"] for run in runs if run.info.status == "FAILED"]
    assert "ended early" in tagged


def test_unreadable_samples_count(cli: CommandLine):
    from PIL import Image

    for number in range(6):
        Image.new("RGB", (50, 50)).save(cli.folder / f"{number}.png")
        if number in (1, 2):
            (cli.folder / f"{number}.png").write_bytes(b"not a picture")
    rows = "".join(f'{{"id": "{n}", "images": ["{n}.png"], "question": "q{n}"}}\n' for n in range(6))
    (cli.folder / "rows.jsonl").write_text(rows)
    data = (
        "backend.name=echo",
        "tracking=none",
        "dataset=jsonl",
        f"dataset.path={cli.folder}/rows.jsonl",
        "metrics=[]",
    )
    ended = cli(*data, "max_failed=1")
    assert ended.code == 1 and "2 of 6 answers failed" in ended.out and "bad_input" in ended.out
    assert cli(*data, "max_failed=2").code == 0
