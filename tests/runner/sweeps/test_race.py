"""race=true from the command line: who is worse stops, and says so wherever its figures stand."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from metrics.api import Measure
from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.jobs.folder import JobFolder
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.report import loading
from runner.report.decision import decide
from runner.studies.compare.command import main as compare
from runner.studies.select_prompts.candidates import find_candidates
from runner.sweeps.racing import blocks, checks
from runner.sweeps.racing.standings import Standings
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


@dataclass(frozen=True)
class Raced:
    """A race of four that has ended: its folder, what it printed, and what was asked of whom, how often."""

    folder: Path
    out: str
    asked: Counter[tuple[str, str]]


@pytest.fixture(scope="module")
def raced(make_cli: Callable[[Path], CommandLine], tmp_path_factory: pytest.TempPathFactory) -> Raced:
    cli = make_cli(tmp_path_factory.mktemp("race"))
    dataset(cli.folder)
    with ScriptedJudge(answer) as endpoint:
        ended = cli(*command(endpoint))
        assert ended.code == 0, ended.err + ended.out
        return Raced(cli.folder, " ".join(ended.out.split()), asked(endpoint))


def test_two_of_four_stop_and_the_two_that_tie_do_not(raced: Raced):
    found = records(raced.folder)
    assert {name for name, record in found.items() if record["race"]["stopped"]} == {"poor", "bad"}
    count = Counter(model for model, _ in raced.asked)
    assert count["good"] == count["twin"] == DOCUMENTS and max(raced.asked.values()) == 1
    for name in ("poor", "bad"):
        race, metrics = found[name]["race"], found[name]["metrics"]
        assert count[name] == race["documents"] == metrics["samples/total"] == metrics["race/documents"] < DOCUMENTS
        assert race["of"] == DOCUMENTS and 0 < race["decided_after"] <= race["documents"]
        assert metrics["race/stopped"] == 1 and race["worse_than"][:2] in ("0_", "1_")
        assert any(note.startswith(f"race: stopped after {count[name]} of 60") for note in found[name]["notes"])
    fewer, more = ({text for model, text in raced.asked if model == name} for name in ("bad", "poor"))
    assert fewer <= more, "all are asked in one order"


def test_every_place_that_shows_figures_of_a_stopped_candidate_says_so(raced: Raced, capsys: pytest.CaptureFixture):
    count = Counter(model for model, _ in raced.asked)
    told = f"stopped at {count['bad']} of 60 documents"
    assert told in raced.out and "The race stopped 2 others as worse" in raced.out
    with contextlib.closing(sqlite3.connect(raced.folder / "mlflow.db")) as database:
        tags = dict(database.execute("SELECT run_uuid, value FROM tags WHERE key = 'runner.race'").fetchall())
        names = [name for (name,) in database.execute("SELECT name FROM runs").fetchall()]
        stopped = database.execute("SELECT value FROM metrics WHERE key = 'race/stopped'").fetchall()
        params = database.execute("SELECT value FROM params WHERE key = 'race.error'").fetchall()
    assert told in tags.values() and len(tags) == 2 and any(f"[{told}]" in name for name in names)
    assert sorted(value for (value,) in stopped) == [0, 0, 1, 1] and params == [("0.05",)] * 4
    sweep = max(raced.folder.glob("multirun/*/*"))
    page = (sweep / "report.html").read_text()
    assert f"(stopped: {count['bad']} of 60 documents)" in page and "stopped by the race: worse by" in page
    (bad,) = sweep.glob("*_bad-*")
    assert compare([str(sweep), "--baseline", bad.name, "--measure", "exact_match"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"[{told}]" in shown and "don't count the looks of the race" in shown


def test_stopped_candidates_are_not_ranked_tested_or_chosen_from(raced: Raced):
    sweep = max(raced.folder.glob("multirun/*/*"))
    results = JobFolder.below(sweep)
    (bad,) = (result.path.name for result in results if result.name.startswith("bad"))
    for baseline in (None, bad):
        (compared,) = loading.build(results, loading.settings_of(results, baseline=baseline), "", sweep).comparisons
        decision = decide(compared)
        stopped = {candidate.label for candidate in compared.candidates if candidate.stopped}
        assert len(stopped) == 2 and all("(stopped: " in label for label in stopped)
        assert decision.taken is not None and decision.taken.label not in stopped and not stopped & decision.optimal
        tested = {label for verdicts in compared.verdicts.values() for label in verdicts}
        assert not tested & stopped and bool(tested) == (baseline is None)
        assert any("no tests against bad" in note for note in compared.notes) == (baseline is not None)
    with pytest.raises(Refused, match="by a race, so its prompts were not asked the same questions"):
        find_candidates([sweep], "cer")


def test_a_race_that_was_killed_goes_on_with_the_same_decisions(cli: CommandLine, raced: Raced):
    dataset(cli.folder)

    def slowly(body: dict[str, Any], _number: int) -> Reply:
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
    assert sum(counts.values()) - len(counts) <= 1 and set(counts) == set(raced.asked)
    decided = [{name: record["race"] for name, record in records(one.folder).items()} for one in (cli, raced)]
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


def planned(*overrides: str) -> Job:
    config.register()
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        wanted = ("race='true'", "tracking=none", "dataset.limit=40", "metrics=[exact_match,cer]")
        return plan(compose("config", [*wanted, *overrides]))


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        (((),), "one candidate has no rival"),
        ((("report.measure=cer",),) * 2, "cer is a ratio of sums"),
        ((("metrics=[cer]",),) * 2, "cer is a ratio of sums"),
        ((("metrics=[cer]", "report.measure=cer_mean"),) * 2, "cer_mean can be any number"),
        ((("metrics=[text]",),) * 2, "there is no measure"),
        ((("report.measure=judge_ratio",),) * 2, "report.measure=judge_ratio is no measure"),
        (((), ("dataset.limit=30",)), "several datasets"),
        (((), ("race.error=0.1",)), "race all together"),
        (((), ("race='false'",)), "race all together"),
        (((), ("metrics=[anls]",)), "different measures"),
    ],
)
def test_what_can_not_race_is_refused(candidates: tuple[tuple[str, ...], ...], words: str):
    with pytest.raises(Refused, match=words):
        checks.refuse([planned(*overrides) for overrides in candidates])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("stage=generate",), "stage=generate does one of the two"),
        (("plan=commands",), "compared while they are asked"),
        (("load=constant", "load.rate=5"), "can't be cut into blocks"),
        (("race='false'", "race.block=10"), "without a race this says nothing"),
        (("race.error=0",), "out of range"),
    ],
)
def test_settings_that_do_not_go_with_a_race_are_refused(overrides: tuple[str, ...], words: str):
    with pytest.raises(Refused, match=words):
        planned(*overrides)


def test_workers_and_a_single_job_are_refused_in_words(cli: CommandLine):
    workers = cli("-m", "model=demo_s,demo_m", "race=true", "workers=joblib", "tracking=none")
    assert workers.code == 2 and "workers know nothing of each other" in workers.err
    single = cli("model=demo_s", "race=true", "tracking=none")
    assert single.code == 2 and "one candidate has no rival" in single.err
    assert cli.left() == set()


# ------------------------------------------------------------------------------------------------- blocks


def test_blocks_are_small_where_engines_need_not_change_and_kept_once_a_race_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RUNNER_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    endpoint = (
        "model=openai",
        "model.name=a",
        "backend.base_url=http://127.0.0.1:9/v1",
        "backend.api_key_variable=null",
    )
    free = [planned(*endpoint), planned(*endpoint, "model.name=b")]
    documents = len({sample.document for sample in free[0].dataset})
    found = blocks.planned(free)
    assert found.starts == 0 and len(found.ends) == documents and "starts no engine" in str(found)
    together = [planned("model=demo_s", "pool.max_engines=2"), planned("model=demo_m", "pool.max_engines=2")]
    assert blocks.planned(together).starts == 0
    dear = [planned("model=demo_s"), planned("model=demo_m")]
    found = blocks.planned(dear)
    assert found.starts == 1 and len(found.ends) == 4 and "in unknown time" in str(found)
    assert not (tmp_path / "store" / "races").exists(), "a forecast writes nothing"
    blocks.planned(dear, keep=True)
    monkeypatch.setattr(blocks, "earlier_load_s", lambda _job: 20.0)
    monkeypatch.setattr(blocks, "_asking_s", lambda _job: 500.0)
    assert blocks.planned(dear).ends == found.ends, "it goes on with what it began"
    other = [planned("model=demo_s", "race.seed=1"), planned("model=demo_m", "race.seed=1")]
    assert len(blocks.planned(other).ends) > 4, "a tenth of 1,000 s allows for five more starts of 20 s"
    assert "engines anew, about " in str(blocks.planned(other))


def test_the_order_is_decided_by_the_seed_and_keeps_a_document_together():
    samples = list(planned("dataset.limit=60").dataset)
    first, again, other = (blocks.order(samples, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert sorted(sample.id for group in first for sample in group) == sorted(sample.id for sample in samples)
    assert all(len({sample.document for sample in group}) == 1 for group in first)


# ------------------------------------------------------------------------------------------------- standings


def standings(documents: int, measure: Measure, *, samples: int = 1, margin: float = 0.01) -> Standings:
    names = [[f"{number}-{question}" for question in range(samples)] for number in range(documents)]
    return Standings(names, measure, margin=margin, error=0.05, candidates=3)


HIGHER = Measure("share", "higher", "mean", 0, 1, "")
LOWER = Measure("wrong", "lower", "mean", 0, 1, "")


def test_the_worse_one_is_named_in_either_direction_and_a_tie_stops_nobody():
    for measure, better in ((HIGHER, 1.0), (LOWER, 0.0)):
        judge = standings(100, measure)
        best, worst = np.full(100, better), np.full(100, 1 - better)
        found = judge.worse_after(worst, 40, [(np.full(100, 1 - better), 40), (best, 40)])
        assert found is not None and found[0] < 12 and found[1] == 1
        assert judge.worse_after(best, 100, [(worst, 100), (best, 100)]) is None
        assert judge.worse_after(worst, 100, [(worst, 100)]) is None
    assert standings(100, HIGHER).worse_after(np.ones(100), 40, []) is None


def test_only_shared_scores_count_and_less_than_the_margin_is_not_worse():
    judge = standings(50, HIGHER)
    unscored = np.full(50, np.nan)
    assert judge.worse_after(unscored, 50, [(np.ones(50), 50)]) is None
    half = np.where(np.arange(50) % 2 == 0, 0.0, np.nan)
    assert judge.difference(half, np.ones(50), 50) == -1
    near = np.full(50, 0.995)
    assert judge.worse_after(near, 50, [(np.ones(50), 50)]) is None, "with all documents seen, it is within the margin"
    found = standings(50, HIGHER, margin=0.004).worse_after(near, 50, [(np.ones(50), 50)])
    assert found is not None, "and beyond a smaller one"


def test_many_questions_about_a_document_are_one_piece_of_evidence():
    single, many = standings(40, HIGHER), standings(10, HIGHER, samples=4)
    for judge in (single, many):
        assert judge.worse_after(np.zeros(40), 10 if judge is many else 40, [(np.ones(40), 40)]) is not None
    first = single.worse_after(np.zeros(40), 40, [(np.ones(40), 40)])
    clustered = many.worse_after(np.zeros(40), 10, [(np.ones(40), 10)])
    assert first is not None and clustered is not None and clustered[0] * 4 > first[0]
