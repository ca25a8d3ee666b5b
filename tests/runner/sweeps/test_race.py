"""race=true from the command line: who is worse stops, and says so wherever its figures stand."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import CommandLine
from tests.patience import patient
from tests.runner.scoring.judging.scripted_judge import Reply, ScriptedJudge, texts

DOCUMENTS = 60
# Of a hundred documents, how many each model reads right. `twin` answers exactly as `good` does.
READS = {"good": 95, "twin": 95, "poor": 40, "bad": 20}


def dataset(folder: Path) -> None:
    Image.new("L", (8, 8)).save(folder / "page.png")
    rows = [
        {"id": f"q{number}", "images": ["page.png"], "question": f"Write {number}", "references": [str(number)]}
        for number in range(DOCUMENTS)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row | {"document": row["id"]}) + "\n" for row in rows))


def answer(body: dict[str, Any], _number: int = 0) -> Reply:
    number = int(texts(body)[-1].removeprefix("Write "))
    return Reply(str(number) if number * 37 % 100 < READS[body["model"]] else "?")


def command(endpoint: ScriptedJudge, *more: str, models: str = "good,twin,poor,bad") -> tuple[str, ...]:
    return (
        *("-m", "model=openai", f"model.name={models}", f"backend.base_url={endpoint.url}"),
        *("backend.api_key_variable=null", "dataset=jsonl", "dataset.path=questions.jsonl", "dataset.name=numbers"),
        *("metrics=[exact_match,cer]", "warmup=0", "race=true", "race.block=10", *more),
    )


def records(folder: Path) -> dict[str, dict[str, Any]]:
    newest = max(folder.glob("multirun/*/*"))
    found = [json.loads(path.read_text()) for path in newest.glob("*/metrics.json")]
    return {record["name"].removesuffix("-native").removesuffix("-bf16"): record for record in found}


def asked(endpoint: ScriptedJudge) -> Counter[tuple[str, str]]:
    return Counter((body["model"], texts(body)[-1]) for body in endpoint.bodies)


def test_two_of_four_stop_and_every_place_that_shows_their_figures_says_so(cli: CommandLine):
    dataset(cli.folder)
    with ScriptedJudge(answer) as endpoint:
        before = cli(*command(endpoint, "plan=dry"))
        assert before.code == 0 and "race: 6 rounds at most, blocks of 10 documents" in before.out, before.err
        assert not endpoint.bodies
        ended = cli(*command(endpoint))
        assert ended.code == 0, ended.err + ended.out
        found = records(cli.folder)
        assert {name: record["race"]["stopped"] for name, record in found.items()} == {
            "good": False, "twin": False, "poor": True, "bad": True,
        }  # fmt: skip
        count = Counter(model for model, _ in asked(endpoint))
        assert count["good"] == count["twin"] == DOCUMENTS, "they tie: neither is stopped"
        for name in ("poor", "bad"):
            race, metrics = found[name]["race"], found[name]["metrics"]
            assert count[name] == race["documents"] == metrics["samples/total"] == metrics["race/documents"] < DOCUMENTS
            assert race["of"] == DOCUMENTS and 0 < race["decided_after"] <= race["documents"]
            assert metrics["race/stopped"] == 1 and "0_" in race["worse_than"] or "1_" in race["worse_than"]
            assert any(note.startswith(f"race: stopped after {count[name]} of 60") for note in found[name]["notes"])
        assert max(asked(endpoint).values()) == 1
        shared = {text for model, text in asked(endpoint) if model == "bad"}
        assert shared <= {text for model, text in asked(endpoint) if model == "poor"}, "all have one order"
        told = f"stopped at {count['bad']} of 60 documents"
        assert told in " ".join(ended.out.split()) and "The race stopped 2 others as worse" in ended.out
        with contextlib.closing(sqlite3.connect(cli.folder / "mlflow.db")) as database:
            tags = dict(database.execute("SELECT run_uuid, value FROM tags WHERE key = 'runner.race'").fetchall())
            names = [name for (name,) in database.execute("SELECT name FROM runs").fetchall()]
            stopped = database.execute("SELECT value FROM metrics WHERE key = 'race/stopped'").fetchall()
            params = database.execute("SELECT value FROM params WHERE key = 'race.error'").fetchall()
        assert told in tags.values() and len(tags) == 2 and any(f"[{told}]" in name for name in names)
        assert sorted(value for (value,) in stopped) == [0, 0, 1, 1] and params == [("0.05",)] * 4
        sweep = max(cli.folder.glob("multirun/*/*"))
        page = (sweep / "report.html").read_text()
        assert f"(stopped: {count['bad']} of 60 documents)" in page and "stopped by the race: worse by" in page
        compared = cli(str(sweep), "--baseline", "bad-native", "--measure", "exact_match", module="runner.compare")
        assert f"[{told}]" in compared.out and "p values don't count the looks" in " ".join(compared.out.split())
        # The same questions again, without a race: only those are asked that were not.
        again = cli(*command(endpoint), "race=false", "race.block=null", "tracking=none")
        assert again.code == 0 and len(endpoint.bodies) == 4 * DOCUMENTS, again.err


def test_a_race_that_was_killed_goes_on_with_the_same_decisions(cli: CommandLine, make_cli, tmp_path: Path):
    dataset(cli.folder)
    whole = make_cli(tmp_path / "whole") if (tmp_path / "whole").mkdir() is None else None
    assert whole is not None
    dataset(whole.folder)

    def slowly(body: dict[str, Any], number: int) -> Reply:
        reply = answer(body)
        reply.wait_s = 0.02
        return reply

    with ScriptedJudge(slowly) as endpoint:
        process = cli.start(*command(endpoint, "tracking=none"))
        deadline = time.monotonic() + patient(120)
        while len(endpoint.bodies) < 95:  # in the third round
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        ended = cli(*command(endpoint, "tracking=none"))
        assert ended.code == 0, ended.err + ended.out
        counts = asked(endpoint)
        # A request that was under way when the process was killed may have to be asked again.
        assert sum(counts.values()) - len(counts) <= 1
    with ScriptedJudge(answer) as endpoint:
        assert whole(*command(endpoint, "tracking=none")).code == 0
        assert set(asked(endpoint)) == set(counts)
    decided = [{name: record["race"] for name, record in records(one.folder).items()} for one in (cli, whole)]
    assert decided[0] == decided[1]


def test_it_ends_where_nobody_else_can_be_recommended_unless_a_constraint_waits_for_figures(cli: CommandLine):
    dataset(cli.folder)
    with ScriptedJudge(answer) as endpoint:
        ended = cli(*command(endpoint, "tracking=none", models="good,bad"))
        assert ended.code == 0, ended.err + ended.out
        found = records(cli.folder)
        assert found["bad"]["race"]["stopped"] and not found["good"]["race"]["stopped"]
        assert found["good"]["race"]["documents"] == found["bad"]["race"]["documents"] < DOCUMENTS
        out = " ".join(ended.out.split())
        assert "ended at" in out and "when no other could be recommended any more" in out and "take good" in out
        # The best turns out to miss a constraint: the one that was stopped is asked on, and recommended.
        late = cli(*command(endpoint, "tracking=none", "report.constraints={quality/cer: >0.1}", models="good,bad"))
        assert late.code == 0, late.err + late.out
        found = records(cli.folder)
        assert {record["race"]["documents"] for record in found.values()} == {DOCUMENTS}
        assert not any(record["race"]["stopped"] for record in found.values())
        assert "asked on, since those that are better can't be recommended" in late.err
        assert "take bad" in " ".join(late.out.split())
        assert max(asked(endpoint).values()) == 1


def test_one_that_fails_leaves_the_race_to_the_others(cli: CommandLine):
    dataset(cli.folder)

    def script(body: dict[str, Any], number: int) -> Reply:
        return Reply(status=401) if body["model"] == "twin" else answer(body)

    with ScriptedJudge(script) as endpoint:
        ended = cli(*command(endpoint, "tracking=none", models="good,twin,bad"))
        assert ended.code == 1 and "1 of 3 jobs failed" in ended.err, ended.err
        found = records(cli.folder)
        assert found["twin"]["status"] == "failed" and "race" not in found["twin"]
        assert found["bad"]["race"]["stopped"]
        assert found["good"]["race"]["documents"] == DOCUMENTS, "the one that failed may yet be the best"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("report.measure=cer",), "cer is a ratio of sums"),
        (("metrics=[cer]",), "cer is a ratio of sums"),
        (("metrics=[text]",), "there is no measure"),
        (("dataset.limit=20,30",), "several datasets"),
        (("workers=joblib",), "workers know nothing of each other"),
        (("stage=generate",), "stage=generate does one of the two"),
        (("plan=commands",), "compared while they are asked"),
        (("load=constant", "load.rate=5"), "can't be cut into blocks"),
        (("race.error=0.05,0.1",), "race all together"),
        (("race=false", "race.block=10"), "without a race this says nothing"),
        (("race.error=0",), "race.error: 0.0 is out of range"),
    ],
)
def test_what_can_not_race_is_refused_before_anything_starts(cli: CommandLine, more: tuple[str, ...], words: str):
    dataset(cli.folder)
    with ScriptedJudge(answer) as endpoint:
        ended = cli(*command(endpoint), *more)
        assert ended.code == 2 and words in ended.err and not endpoint.bodies, ended.err + ended.out
    assert not (cli.folder / "multirun").exists()


def test_one_candidate_has_no_rival(cli: CommandLine):
    dataset(cli.folder)
    with ScriptedJudge(answer) as endpoint:
        alone = cli(*command(endpoint, models="good"))
        single = cli(*[word for word in command(endpoint, models="good") if word != "-m"])
        assert alone.code == single.code == 2, alone.err + single.err
        assert "one candidate has no rival" in alone.err and "one candidate has no rival" in single.err
        assert not endpoint.bodies
