"""Judges behind a real HTTP endpoint, which misbehaves as it is told."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from runner.jobs import answers_table
from runner.jobs.folder import JobFolder
from tests.conftest import CommandLine
from tests.patience import patient
from tests.runner.scoring.judging.conftest import job, record, rows, table, verdicts
from tests.runner.scoring.judging.scripted_judge import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    Reply,
    absolute,
    pairwise,
    shown,
    texts,
)

SCORE = ("stage=score", "tracking=none", "metrics=[]")
WHERE = "judge.model.endpoint"


def test_whatever_an_endpoint_does_each_answer_has_a_defined_result(cli: CommandLine, scripted):
    asked: Counter[str] = Counter()
    at: dict[tuple[str, int], float] = {}

    def script(body, _number):
        answer = shown(body)["answer"]
        asked[answer] += 1
        at[answer, asked[answer]] = time.monotonic()
        first = asked[answer] == 1
        if answer == "not json" and first:
            return "I would say seven."
        if answer == "out of range" and first:
            return absolute(11)
        if answer == "hopeless":
            return absolute(5, why="")
        if answer == "busy" and first:
            return Reply(status=429, headers={"Retry-After": "1"})
        if answer == "broken":
            return Reply(status=500)
        if answer == "broken once" and first:
            return Reply(status=500)
        if answer == "slow":
            return Reply(absolute(9), wait_s=4)
        return absolute(8, why=f"about {answer}")

    endpoint = scripted(script)
    said = ["fine", "not json", "out of range", "hopeless", "busy", "broken", "broken once", "slow", "", "fine"]
    command = (*SCORE, f"answers={table(cli, said)}", "judge=absolute",
               *endpoint.arguments(f"{WHERE}.retries=1", f"{WHERE}.request_timeout_s=1.5"))  # fmt: skip
    ended = cli(*command)
    assert ended.code == 0, ended.err + ended.out
    folder = job(cli)
    found = {said[number]: verdicts(folder)[f"picture {number}"][0] for number in range(len(said))}
    assert {answer: one["state"] for answer, one in found.items()} == {
        "fine": "valid", "not json": "valid", "out of range": "valid", "hopeless": "invalid", "busy": "valid",
        "broken": "failed", "broken once": "valid", "slow": "failed", "": "valid",
    }  # fmt: skip
    assert asked["fine"] == 1, "equal questions are asked once"
    assert asked["not json"] == asked["out of range"] == asked["hopeless"] == 2, "one attempt to repair"
    assert asked["broken"] == asked["slow"] == 2, "retries are bounded"
    assert at["busy", 2] - at["busy", 1] >= 1, "Retry-After is kept"
    assert "explanation" in found["hopeless"]["problem"]
    repair = next(body for body in endpoint.bodies if len(body["messages"]) > 2)
    assert [message["role"] for message in repair["messages"]] == ["system", "user", "assistant", "user"]
    # Both policies, the states and the explanations.
    metrics = record(folder)["metrics"]
    assert metrics["judge/score"] == 8
    assert metrics["judge/score_worst"] == pytest.approx(8 * 7 / 10)
    assert metrics["judge/invalid"] == pytest.approx(1 / 10)
    assert metrics["judge/failed"] == pytest.approx(2 / 10)
    notes = " ".join(record(folder)["notes"])
    assert "1 of 9 verdicts are invalid" in notes and "2 of 9 verdicts failed" in notes
    with (folder / "scores_by_id.csv").open(encoding="utf-8-sig", newline="") as file:
        by_answer = {row["answer"]: row for row in csv.DictReader(file, delimiter=";")}
    assert by_answer["busy"]["judge_explanation"] == "endpoint: 8: about busy"
    assert "failed: HTTP 500" in by_answer["broken"]["unscored"]
    first, second, *_ = answers_table.table(JobFolder(folder))
    assert first["judge"] == second["judge"] == 8 and first["judge_explanation"] == "endpoint: 8: about fine"
    # Again: what has a reply is not asked; what failed is.
    before = dict(asked)
    ended = cli(*command)
    assert ended.code == 0, ended.err
    assert {answer for answer in asked if asked[answer] > before[answer]} == {"broken", "slow", "hopeless"}, (
        "no verdict: asked again, too"
    )
    assert record(job(cli))["metrics"]["judge/paid_usd"] == 0


def test_reference_answers_of_a_job_a_sweep_against_them_and_a_judge_with_a_favourite_place(cli: CommandLine, scripted):
    endpoint = scripted(lambda _body, _number: pairwise(9, 6, why="the first is better"))
    made_by = ("backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl",
               f"dataset.path={rows(cli, [f'question {n}' for n in range(4)])}")  # fmt: skip
    ended = cli(*made_by, "model=demo_m", "stage=generate", "prompt.template='{{ question }}, in full'",
                f"hydra.run.dir={cli.folder / 'reference'}")  # fmt: skip
    assert ended.code == 0, ended.err
    ended = cli("-m", *made_by, "model=demo_m,demo_s", "metrics=[exact_match]", "judge=pairwise",
                f"judge.reference_answers={cli.folder / 'reference'}",
                *endpoint.arguments(f"{WHERE}.response_schema=true"))  # fmt: skip
    assert ended.code == 0, ended.err + ended.out
    folders = sorted(path.parent for path in cli.folder.glob("multirun/**/metrics.json"))
    assert len(folders) == 2
    for folder in folders:
        metrics = record(folder)["metrics"]
        assert metrics["judge/ratio"] == 1 == metrics["judge/ratio_worst"], "both orders cancel the favour out"
        assert metrics["judge/swap_gap"] == metrics["judge/position_bias"] == 3
        assert metrics["quality/exact_match"] == 0
        assert "judge/ratio/ci_low" not in metrics, "all are alike, and a ratio has no range: nothing says how sure"
        one, swapped = verdicts(folder)["0"]
        assert one["rival_answer"] == "question 0, in full"
        assert (one["candidate"], swapped["candidate"]) == ({"usefulness": 9}, {"usefulness": 6})
        assert json.loads((folder / "environment.json").read_text())["metric_versions"]["judge"].startswith(
            "1 pairwise"
        )
    assert len(endpoint.bodies) == 8, "both models say the same, so one model's verdicts are the other's"
    pairs = {
        (shown(body)["answer_1"], shown(body)["answer_2"]) for body in endpoint.bodies if "question 0" in str(body)
    }
    assert pairs == {("question 0", "question 0, in full"), ("question 0, in full", "question 0")}
    asked = json.dumps(endpoint.bodies)
    assert "demo" not in asked and "echo" not in asked, "the judge is blind"
    schema = endpoint.bodies[0]["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["required"] == ["explanation", "answer_1", "answer_2"]
    assert "judge ratio" in ended.out, "the table shows it"
    compared = cli(str(folders[0]), str(folders[1]), "--measure", "ratio", module="runner.compare")
    assert compared.code == 0 and "ratio" in compared.out, compared.err


def test_a_killed_run_asks_for_no_verdict_twice(cli: CommandLine, scripted):
    hold = {"on": True}

    def script(body, number):
        return Reply(absolute(7), wait_s=60 if hold["on"] and number >= 7 else 0.02)

    endpoint = scripted(script)
    command = (*SCORE, f"answers={table(cli, [f'answer {n}' for n in range(12)])}", "judge=absolute",
               *endpoint.arguments(f"{WHERE}.concurrency=2"))  # fmt: skip
    running = cli.start(*command)
    deadline = time.monotonic() + patient(60)
    while len(endpoint.bodies) < 9:  # seven have their reply, two wait for theirs
        assert running.poll() is None and time.monotonic() < deadline, running.stdout.read()
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    running.stdout.close()
    hold["on"] = False
    replied = {shown(body)["answer"] for body in endpoint.bodies[:7]}
    before = len(endpoint.bodies)
    ended = cli(*command)
    assert ended.code == 0, ended.err
    again = [shown(body)["answer"] for body in endpoint.bodies[before:]]
    assert len(again) == len(set(again)) == 5 and not replied & set(again)
    assert record(job(cli))["metrics"]["judge/score"] == 7
    assert "7 of them are stored" in ended.err
    assert cli(*command).code == 0
    assert len(endpoint.bodies) == before + 5


@pytest.mark.parametrize("usage", [True, False])
def test_a_budget_is_never_exceeded(cli: CommandLine, scripted, usage: bool):
    endpoint = scripted(lambda _body, number: Reply(absolute(6 if number % 3 else 12), wait_s=0.05, usage=usage))
    price = 1000.0  # USD per million tokens, so that a request costs cents
    budget = 8.0
    answers = table(cli, [f"answer {n}" for n in range(40)])
    command = (*SCORE, f"answers={answers}", "judge=absolute",
               *endpoint.arguments(f"{WHERE}.input_usd={price}", f"{WHERE}.output_usd={price}",
                                   f"{WHERE}.concurrency=8", f"{WHERE}.max_tokens=100"))  # fmt: skip
    ended = cli(*command, f"judge.budget_usd={budget}")
    assert ended.code == 0, ended.err
    each = price * (PROMPT_TOKENS + COMPLETION_TOKENS) / 1e6
    cost = each * len(endpoint.bodies)
    assert cost <= budget
    assert endpoint.most_at_once > 1, "the budget doesn't serialise"
    metrics = record(job(cli))["metrics"]
    states = Counter(one["state"] for found in verdicts(job(cli)).values() for one in found)
    assert states["not_asked"] > 0 and states["failed"] == 0
    assert "judge/score" in metrics and "were not asked" in " ".join(record(job(cli))["notes"])
    assert "the budget ends after about" in ended.err
    if usage:
        assert metrics["judge/paid_usd"] == pytest.approx(cost)
        assert cost > budget / 2, "what was reserved and not spent is used again"
        # The rest, once there is more money: nothing is paid twice.
        before = len(endpoint.bodies)
        ended = cli(*command, "judge.budget_usd=null")
        assert ended.code == 0, ended.err
        states = Counter(one["state"] for found in verdicts(job(cli)).values() for one in found)
        assert states["not_asked"] == 0 and states["failed"] == 0
        assert all(count == 1 for count in Counter(json.dumps(texts(body)) for body in endpoint.bodies).values())
        paid = record(job(cli))["metrics"]["judge/paid_usd"]
        assert paid == pytest.approx(each * (len(endpoint.bodies) - before))
        assert record(job(cli))["metrics"]["judge/cost_usd"] == pytest.approx(each * len(endpoint.bodies))
    else:
        assert "may have cost up to" in " ".join(record(job(cli))["notes"])


def test_the_judge_sees_a_smaller_picture_and_a_job_that_exists_is_judged_where_it_lies(cli: CommandLine, scripted):
    endpoint = scripted(lambda _body, _number: absolute(10))
    folder = cli.folder / "job"
    ended = cli("model=demo_m", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl",
                f"dataset.path={rows(cli, ['question 1', 'question 2'])}", f"hydra.run.dir={folder}")  # fmt: skip
    assert ended.code == 0, ended.err
    before = record(folder)["metrics"]
    ended = cli(*SCORE, f"answers={folder}", "judge=absolute", "judge.image=true", "judge.image_max_side=100",
                *endpoint.arguments())  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = record(folder)["metrics"]
    assert metrics["judge/score"] == 10 and before.items() <= metrics.items()
    assert not (cli.folder / "outputs").exists(), "nothing is left beside the job"
    from PIL import Image

    (picture, text) = endpoint.bodies[0]["messages"][-1]["content"]
    data = base64.b64decode(picture["image_url"]["url"].partition("base64,")[2])
    assert Image.open(io.BytesIO(data)).size == (100, 67)
    assert "attached" in text["text"]
    # Another command adds a metric, and the judge's scores stay.
    assert cli(*SCORE[:2], f"answers={folder}", "metrics=[wer]").code == 0
    assert record(folder)["metrics"]["judge/score"] == 10 and len(endpoint.bodies) == 2


def test_several_judges_and_how_far_they_agree(cli: CommandLine, scripted):
    one = scripted(lambda body, _number: absolute(float(shown(body)["answer"])))
    other = scripted(lambda body, _number: absolute(float(shown(body)["answer"]) - 1))
    cli.environment["OPENAI_API_KEY"] = "sk-canary-1234"
    second = "judge.model.gpt_4o_mini"
    ended = cli(*SCORE, f"answers={table(cli, ['2', '5', '9'])}", "judge=absolute", *one.arguments()[1:],
                "judge/model=[endpoint,gpt_4o_mini]", f"{second}.base_url={other.url}")  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = record(job(cli))["metrics"]
    assert metrics["judge/score.by.endpoint"] - metrics["judge/score.by.gpt_4o_mini"] == pytest.approx(1)
    assert 0.9 < metrics["judge/alpha"] < 1
    assert "gpt-4o-mini" in str(one.bodies + other.bodies) and "sk-canary" not in ended.out + ended.err
    left = [file.read_bytes() for file in cli.folder.rglob("*") if file.is_file()]
    assert not [content for content in left if b"sk-canary" in content]


def test_a_wrong_key_stops_the_asking_and_the_rest_is_scored(cli: CommandLine, scripted):
    endpoint = scripted(lambda _body, _number: Reply(status=401))
    ended = cli(*SCORE[:2], "metrics=[cer]", f"answers={table(cli, [f'a {n}' for n in range(50)])}", "judge=absolute",
                *endpoint.arguments(f"{WHERE}.concurrency=2"))  # fmt: skip
    assert ended.code == 0, ended.err
    assert len(endpoint.bodies) <= 4
    metrics = record(job(cli))["metrics"]
    assert metrics["judge/failed"] == 1 and "judge/score" not in metrics and "quality/cer" in metrics
    assert "Check the endpoint's API key" in ended.out


def test_a_table_may_bring_the_rivals_along(cli: CommandLine, scripted):
    endpoint = scripted(lambda _body, _number: pairwise(4, 8))
    answers = table(cli, ["a", "b"], rival=["x", "y"])
    assert (
        cli(*SCORE, f"answers={answers}", "judge=pairwise", "judge.orders=alternate", *endpoint.arguments()).code == 0
    )
    assert {one["rival_answer"] for found in verdicts(job(cli)).values() for one in found} == {"x", "y"}
    assert len(endpoint.bodies) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["judge=absolute"], "DEEPSEEK_API_KEY"),
        (["judge=absolute", "judge/model=[endpoint]"], "judge.model.endpoint.name"),
        (["judge=absolute", "judge/prompt=usefulness"], "judge=absolute is absolute, and this prompt is pairwise"),
        (["judge=pairwise", "judge.orders=twice"], "both, alternate"),
        (["judge=pairwise", "judge/model=[nobody]"], "nobody"),
    ],
)
def test_a_judge_that_can_not_be_asked_is_refused_before_anything(cli: CommandLine, arguments, words: str):
    ended = cli(*SCORE, f"answers={table(cli, ['a'])}", *arguments)
    assert ended.code == 2 and words in ended.err, ended.err
    assert not (cli.folder / "outputs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["judge.reference_answers=nowhere"], "experiment=reference_answers makes them"),
        (["judge.reference_answers=other.csv"], "take reference answers to the same dataset"),
        (["judge.reference_answers=two.csv"], "2 models"),
        ([f"{WHERE}.input_usd=null"], "judge.budget_usd=null"),
        (["judge.budget_usd=-1"], "at least 0"),
        ([f"{WHERE}.repairs=9"], "judge.model.endpoint.repairs"),
        (["+judge.prompt.criteria.a b=x"], "a b"),
    ],
)
def test_settings_of_a_judge_that_do_not_fit(cli: CommandLine, scripted, arguments, words: str):
    endpoint = scripted(lambda _body, _number: pairwise(1, 1))
    (cli.folder / "other.csv").write_text("Image,candidate\nelsewhere,x\n")
    (cli.folder / "two.csv").write_text("model_name,Image,candidate\na,1,x\nb,1,x\n")
    ended = cli(*SCORE, f"answers={table(cli, ['a'])}", "judge=pairwise", *endpoint.arguments(), *arguments)
    assert ended.code == 2 and words in ended.err, ended.err
    assert not endpoint.bodies and not (cli.folder / "outputs").exists()


def test_one_of_our_engines_judges_after_the_candidates_engines(cli: CommandLine):
    said = [json.dumps({"explanation": f"about {n}", "answer": {"correctness": n}}) for n in (4, 8)]
    ended = cli("-m", "model=demo_m,demo_s", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl",
                f"dataset.path={rows(cli, said)}", "metrics=[exact_match]", "judge=absolute", "judge/model=[engine]",
                "judge.model.engine.model=demo_m",
                "+judge.model.engine.set.backend={name: echo, engine_args: {start_s: 0.1}}")  # fmt: skip
    assert ended.code == 0, ended.err + ended.out
    folders = sorted(path.parent for path in cli.folder.glob("multirun/**/metrics.json"))
    for folder in folders:
        metrics = record(folder)["metrics"]
        assert metrics["judge/score"] == 6, "the echo engine repeats the verdict that stands in the answer"
        assert metrics["engine/starts"] == 1
        assert {one["explanation"] for found in verdicts(folder).values() for one in found} == {"about 4", "about 8"}
    lines = ended.err.splitlines()
    scored = [number for number, line in enumerate(lines) if ": scoring" in line]
    judged = [number for number, line in enumerate(lines) if ": judge engine: " in line and " verdicts" in line]
    assert len(scored) == len(judged) == 2 and min(judged) > max(scored)
    started = [line for line in lines if "starting the engine" in line]
    assert len(started) == 3 and sum("judge" in line or "engine: starting" in line for line in started) >= 1


def test_the_endpoint_of_a_single_job_is_asked_within_the_job(cli: CommandLine, scripted):
    endpoint = scripted(lambda _body, _number: absolute(3))
    ended = cli("model=demo_m", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl",
                f"dataset.path={rows(cli, ['q'])}", "metrics=[]", "judge=absolute", "objective=judge/score",
                *endpoint.arguments())  # fmt: skip
    assert ended.code == 0, ended.err + ended.out
    folder: Path = job(cli)
    assert record(folder)["metrics"]["judge/score"] == 3
    assert "judge:" in (folder / "config.yaml").read_text()


def test_the_remedies_for_refused_settings_are_the_judges_and_work(cli: CommandLine, scripted):
    def script(body, _number):
        if shown(body)["answer"] == "one" and "temperature" in body:
            return Reply(status=400, words="Unsupported parameter: 'temperature' is not supported with this model.")
        if shown(body)["answer"] == "two" and "max_tokens" in body:
            return Reply(status=400, words="Unsupported parameter: use 'max_completion_tokens' instead.")
        return absolute(8)

    command = (*SCORE, f"answers={table(cli, ['one', 'two'])}", "judge=absolute", *scripted(script).arguments())
    cli(*command)
    said = json.dumps(verdicts(job(cli)), ensure_ascii=False)
    remedies = [f"+{WHERE}.set.model.request.temperature=null",
                f"+{WHERE}.set.model.request.max_tokens=max_completion_tokens"]  # fmt: skip
    assert f"What helps: {remedies[0]}" in said and f"What helps: {remedies[1]}" in said
    cli(*command, *remedies)
    assert {one["state"] for found in verdicts(job(cli)).values() for one in found} == {"valid"}


def test_a_setting_of_the_judge_that_is_out_of_range_is_named_as_the_judges(cli: CommandLine, scripted):
    def script(body, _number):
        return Reply(status=400, words="Invalid 'max_tokens': must be less than or equal to 64.")

    cli(*SCORE, f"answers={table(cli, ['one'])}", "judge=absolute", *scripted(script).arguments())
    said = json.dumps(verdicts(job(cli)), ensure_ascii=False)
    assert f"It is set by {WHERE}.max_tokens" in said and "sampling." not in said
