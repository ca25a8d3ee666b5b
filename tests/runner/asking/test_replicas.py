"""One job over several engines of the same kind."""

from typing import Any

from tests.conftest import CommandLine
from tests.runner.sweeps.test_sweep import ECHO, RESTARTED, gone, results, rows


def texts(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["sample_id"], row["text"]) for row in rows(result)]


def test_replicas_give_the_answers_of_one(cli: CommandLine):
    ended = cli("-m", *ECHO, "tracking=none", "concurrency=4", "backend.replicas=1,4", "warmup=4")
    assert ended.code == 0, ended.err
    one, four = results(cli.folder)
    assert texts(one) == texts(four)
    assert (one["metrics"]["engine/starts"], four["metrics"]["engine/starts"]) == (1, 3), "the first one is kept"
    assert four["metrics"]["samples/reused"] == 0, "other conditions: measured anew"
    assert "replicas" not in rows(one)[0]["conditions"] and rows(four)[0]["conditions"]["replicas"] == "4"
    assert any("summed over 4 replicas" in note for note in four["notes"])
    assert {path.name for path in four["folder"].glob("engine*.log")} == {
        "engine.log", "engine-1.log", "engine-2.log", "engine-3.log"
    }  # fmt: skip
    assert gone(str(cli.folder / "store"))


def test_each_replica_has_gpus_of_its_own(cli: CommandLine):
    cli.environment |= {"CUDA_VISIBLE_DEVICES": "4,5", "TMPDIR": str(cli.folder)}
    job = (*ECHO, "tracking=none", "concurrency=2", "backend.replicas=2")
    assert cli(*job, "pool.gpus=1").code == 0
    (result,) = results(cli.folder)
    logs = [path.read_text() for path in sorted(result["folder"].glob("engine*.log"))]
    assert sorted(log.partition("GPUs: ")[2].strip() for log in logs) == ["4", "5"]
    ended = cli(*job, "pool.gpus=3", "reuse=never")
    assert ended.code == 1
    assert "only 2 GPUs are visible" in results(cli.folder)[-1]["error"]


def test_a_replica_that_dies_is_started_again_alone(cli: CommandLine):
    record = cli.folder / "asked"
    crash = ("+backend.engine_args.crash_after=9", f"+backend.engine_args.record={record}", RESTARTED)
    ended = cli(*ECHO, "tracking=none", "concurrency=2", "backend.replicas=2", "warmup=0", "sampling.repeats=2", *crash)
    assert ended.code == 0, ended.err
    (result,) = results(cli.folder)
    assert len(rows(result)) == 16 and all(row["text"] for row in rows(result))
    assert result["metrics"]["engine/starts"] in (2, 3), "two, and one again if it came to nine questions"


def test_replicas_that_would_idle_are_refused(cli: CommandLine):
    ended = cli(*ECHO, "backend.replicas=4")
    assert ended.code == 2 and "concurrency=4 or more" in ended.err
    assert not list(cli.folder.rglob("metrics.json"))
