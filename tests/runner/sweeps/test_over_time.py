"""repeats_over_time=3 from the command line: candidates are asked in turns, and a machine that changes is told of."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.report.command import main as report
from runner.sweeps import over_time
from tests.conftest import CommandLine
from tests.patience import patient
from tests.runner.scoring.judging.scripted_judge import Reply, ScriptedJudge, texts

DOCUMENTS, BLOCK = 36, 12
TURNS = ["a", "b", "c", "b", "a", "b", "c"]  # every other block goes backwards


def dataset(folder: Path, documents: int = DOCUMENTS) -> None:
    Image.new("L", (8, 8)).save(folder / "page.png")
    rows = [
        {"id": f"q{number}", "images": ["page.png"], "question": f"Write {number}", "references": [str(number)]}
        for number in range(documents)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row | {"document": row["id"]}) + "\n" for row in rows))


def answer(body: dict[str, Any], _number: int = 0) -> Reply:
    return Reply(texts(body)[-1].removeprefix("Write "))


def command(endpoint: ScriptedJudge, *more: str, models: str = "a,b,c") -> tuple[str, ...]:
    return (
        *(() if "," not in models else ("-m",)),
        *("model=openai", f"model.name={models}", f"backend.base_url={endpoint.url}"),
        *("backend.api_key_variable=null", "dataset=jsonl", "dataset.path=questions.jsonl", "dataset.name=numbers"),
        *("metrics=[exact_match]", "warmup=0", "repeats_over_time=3", *more),
    )


def records(folder: Path) -> list[dict[str, Any]]:
    newest = max(folder.glob("multirun/*/*"))
    return [json.loads(path.read_text()) for path in sorted(newest.glob("*/metrics.json"))]


def turns(endpoint: ScriptedJudge) -> list[str]:
    return [model for model, _ in groupby(body["model"] for body in endpoint.bodies)]


def asked(endpoint: ScriptedJudge) -> Counter[tuple[str, str]]:
    return Counter((body["model"], texts(body)[-1]) for body in endpoint.bodies)


def test_a_machine_that_becomes_slower_is_noticed_quantified_and_said(cli: CommandLine, capsys: pytest.CaptureFixture):
    dataset(cli.folder)

    def script(body: dict[str, Any], number: int) -> Reply:
        reply = answer(body)
        reply.wait_s = 0.01 if number < 2 * 3 * BLOCK else 0.08  # all that is asked in the third block
        return reply

    with ScriptedJudge(script) as endpoint:
        ended = cli(*command(endpoint))
        assert ended.code == 0, ended.err + ended.out
        assert turns(endpoint) == TURNS and set(asked(endpoint).values()) == {1}
        order = [[text for model, text in asked(endpoint) if model == name] for name in "abc"]
    assert order[0] == order[1] == order[2] and len(order[0]) == DOCUMENTS, "one order that all share"
    assert order[0] != [f"Write {number}" for number in range(DOCUMENTS)]
    for record in records(cli.folder):
        assert record["blocks"]["in_order"] and [one["answers"] for one in record["blocks"]["blocks"]] == [BLOCK] * 3
        metrics = record["metrics"]
        assert metrics["samples/total"] == DOCUMENTS and metrics["drift/spread"] > 1 and metrics["drift/at_least"] > 0
        assert metrics["drift/p50_low_s"] < metrics["latency/p50_s"] < metrics["drift/p50_high_s"]
        assert any(note.startswith("repeats_over_time=3: median latency of its blocks") for note in record["notes"])
    out = " ".join(ended.out.split())
    assert "All candidates together: answers took" in out and "longer in block 3 than in block" in out
    with contextlib.closing(sqlite3.connect(cli.folder / "mlflow.db")) as database:
        tracked = Counter(key for (key,) in database.execute("SELECT key FROM metrics WHERE key LIKE 'drift/%'"))
        params = database.execute("SELECT value FROM params WHERE key = 'repeats_over_time'").fetchall()
    assert tracked == dict.fromkeys([f"drift/{n}" for n in config_names()], 3) and params == [("3",)] * 3
    sweep = max(cli.folder.glob("multirun/*/*"))
    page = (sweep / "report.html").read_text()
    assert "Did latencies stay the same over time?" in page and "Takes longer than" in page
    assert report([str(sweep), "--language", "ru"]) == 0
    capsys.readouterr()
    page = (sweep / "report.html").read_text()
    assert "Менялись ли задержки со временем?" in page and "Все кандидаты вместе: в блоке 3 ответы занимали на" in page


def config_names() -> tuple[str, ...]:
    from runner.config.report_settings import METRICS

    return METRICS["drift"]


def test_what_was_killed_goes_on_with_the_same_blocks(cli: CommandLine):
    dataset(cli.folder)

    def slowly(body: dict[str, Any], _number: int) -> Reply:
        reply = answer(body)
        reply.wait_s = 0.01
        return reply

    with ScriptedJudge(slowly) as endpoint:
        process = cli.start(*command(endpoint, "tracking=none"))
        deadline = time.monotonic() + patient(120)
        while len(endpoint.bodies) < 50:  # in the second block
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        ended = cli(*command(endpoint, "tracking=none"))
        assert ended.code == 0, ended.err + ended.out
        counts = asked(endpoint)
        # A request that was under way when the process was killed may have to be asked again.
        assert sum(counts.values()) - len(counts) <= 1 and len(counts) == 3 * DOCUMENTS
        found = records(cli.folder)
        assert all(record["blocks"]["in_order"] and "drift/at_most" in record["metrics"] for record in found)
        assert sum(record["metrics"]["samples/reused"] for record in found) >= 48
        # What has blocks is not taken for what has none: those times were measured otherwise.
        before = len(endpoint.bodies)
        plain = cli(*command(endpoint, "tracking=none", "repeats_over_time=1"))
        assert plain.code == 0, plain.err
        assert len(endpoint.bodies) - before == 3 * DOCUMENTS
        assert not any("blocks" in record for record in records(cli.folder))


def test_other_documents_make_other_blocks_and_that_is_said(cli: CommandLine):
    dataset(cli.folder)
    with ScriptedJudge(answer) as endpoint:
        first = cli(*command(endpoint, "tracking=none", "dataset.limit=27", models="a"))
        assert first.code == 0, first.err
        more = cli(*command(endpoint, "tracking=none", models="a"))
        assert more.code == 0, more.err
    assert set(asked(endpoint).values()) == {1}
    record = json.loads((max(cli.folder.glob("outputs/*/*")) / "metrics.json").read_text())
    assert not record["blocks"]["in_order"] and not any(name.startswith("drift/") for name in record["metrics"])
    assert "whether latencies drifted is not known" in " ".join(more.out.split())


def page(folder: Path) -> str:
    return (max(folder.glob("multirun/*/*")) / "report.html").read_text()


def test_one_that_fails_leaves_the_blocks_to_the_others_and_later_has_no_turns(cli: CommandLine):
    dataset(cli.folder)
    fails = True

    def script(body: dict[str, Any], _number: int) -> Reply:
        return Reply(status=401) if body["model"] == "b" and fails else answer(body)

    with ScriptedJudge(script) as endpoint:
        ended = cli(*command(endpoint, "tracking=none"))
        assert ended.code == 1 and "1 of 3 jobs failed" in ended.err, ended.err
        found = records(cli.folder)
        assert [record["status"] for record in found] == ["finished", "failed", "finished"]
        assert ["blocks" in record for record in found] == [True, False, True]
        assert "Takes longer than" in page(cli.folder) and "not measured in turns" not in page(cli.folder)
        fails = False
        later = cli(*command(endpoint, "tracking=none"))
        assert later.code == 0, later.err
    assert all(record["blocks"]["in_order"] for record in records(cli.folder))
    assert "were not measured in turns with each other" in page(cli.folder)
    assert "Takes longer than" not in page(cli.folder) and "All candidates together" not in page(cli.folder)


def test_a_single_job_measures_the_same_question_once_and_says_where_it_fails(cli: CommandLine):
    dataset(cli.folder)
    path = cli.folder / "questions.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    same = [row | ({} if number % 4 else {"question": "Write 0"}) for number, row in enumerate(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in same))
    with ScriptedJudge(answer) as endpoint:
        ended = cli(*command(endpoint, "tracking=none", models="a"))
        assert ended.code == 0, ended.err + ended.out
    (path,) = cli.folder.glob("outputs/*/*/metrics.json")
    told = json.loads(path.read_text())["blocks"]
    assert told["in_order"] and [block["questions"] for block in told["blocks"]] == [BLOCK] * 3
    assert sum(block["answers"] for block in told["blocks"]) == len(endpoint.bodies) == DOCUMENTS - DOCUMENTS // 4 + 1
    with ScriptedJudge(lambda _body, _number: Reply(status=401)) as endpoint:
        ended = cli(*command(endpoint, "tracking=none", models="b"))
    assert ended.code == 1 and "the job failed" in ended.err and "Traceback" not in ended.err


def test_workers_are_refused_and_a_forecast_starts_nothing(cli: CommandLine):
    workers = cli("-m", "model=demo_s,demo_m", "repeats_over_time=3", "workers=joblib", "tracking=none")
    assert workers.code == 2 and "workers know nothing of each other" in workers.err
    assert "repeats_over_time=1" in workers.err
    dry = cli("-m", "model=demo_s,demo_m", "repeats_over_time=3", "plan=dry", "tracking=none")
    told = " ".join(dry.out.split())
    assert dry.code == 0 and "3 blocks, in each of which 2 candidates are asked in turns" in told, dry.err
    assert "they start up to 2 engines anew, in unknown time" in told
    assert cli.left() == set()


def planned(*overrides: str) -> Job:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        wanted = ("repeats_over_time=3", "tracking=none", "dataset.limit=40", "metrics=[exact_match]")
        return plan(compose("config", [*wanted, *overrides]))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("race='true'",), "a race asks in blocks of its own"),
        (("load=constant", "load.rate=5"), "can't be cut into blocks"),
        (("plan=commands",), "hands out jobs one by one"),
        (("reuse=answers",), "reports no timing"),
        (("repeats_over_time=0",), "out of range"),
        (("stage=score", "answers=x"), "asks nothing"),
    ],
)
def test_settings_that_do_not_go_with_blocks_are_refused(overrides: tuple[str, ...], words: str):
    with pytest.raises(Refused, match=words):
        planned(*overrides)


def test_jobs_that_can_not_be_asked_in_turns_are_refused():
    with pytest.raises(Refused, match="all in as many blocks"):
        over_time.refuse([planned(), planned("repeats_over_time=2")])
    few = planned("dataset.limit=2")
    assert len({sample.document for sample in few.dataset}) < 3
    with pytest.raises(Refused, match="a block needs a document"):
        over_time.refuse([few])


def test_documents_are_dealt_whole_and_the_same_way_each_time():
    job = planned("dataset.limit=60")
    dealt = over_time.dealt(job)
    assert dealt == over_time.dealt(planned("dataset.limit=60")) and len(dealt) == 3
    documents = [{sample.document for sample in part} for part in dealt]
    assert not documents[0] & documents[1] and not documents[1] & documents[2] and not documents[0] & documents[2]
    assert sorted(sample.id for part in dealt for sample in part) == sorted(sample.id for sample in job.dataset)
    assert max(map(len, documents)) - min(map(len, documents)) <= 1
