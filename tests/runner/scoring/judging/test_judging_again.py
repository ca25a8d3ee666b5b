"""Judging again takes nothing away: what an endpoint that is down leaves unsaid replaces no verdict."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest

from tests.conftest import CommandLine
from tests.runner.scoring.judging.conftest import job, record, rows, table, verdicts
from tests.runner.scoring.judging.scripted_judge import (
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    Reply,
    absolute,
    pairwise,
    shown,
)

WHERE = "judge.model.endpoint"
AGAIN = ("stage=score", "metrics=[]", "judge=absolute")
NO_RETRIES = f"{WHERE}.retries=0"


def judged(folder) -> dict[str, float]:
    """The figures of a judge that stay the same where nothing new was said; what the command paid is another matter."""
    return {
        name: value
        for name, value in record(folder)["metrics"].items()
        if name.startswith("judge/") and name != "judge/paid_usd"
    }


def states(folder) -> Counter[str]:
    return Counter(one["state"] for found in verdicts(folder).values() for one in found)


def test_an_endpoint_that_is_down_takes_no_verdict_away(cli: CommandLine, scripted):
    """With tracking on: the run of MLflow keeps its figures, too."""
    state = {"reply": lambda answer: absolute(float(answer))}
    endpoint = scripted(lambda body, _number: state["reply"](shown(body)["answer"]))
    folder = cli.folder / "job"
    ended = cli("model=demo_m", "backend=hf", "backend.name=echo", "dataset=jsonl", "metrics=[]", "judge=absolute",
                f"dataset.path={rows(cli, ['2', '4', '9'])}", f"hydra.run.dir={folder}",
                *endpoint.arguments(NO_RETRIES))  # fmt: skip
    assert ended.code == 0, ended.err
    first = judged(folder)
    assert first["judge/score"] == 5 and first["judge/failed"] == 0 and states(folder) == {"valid": 3}
    assert first["judge/prompt_tokens"] == 3 * PROMPT_TOKENS
    again = ("stage=score", "metrics=[]", "judge=absolute", f"answers={folder}")
    # The store is gone, and the endpoint is down: nothing is lost, and it is said.
    shutil.rmtree(cli.folder / "store")
    state["reply"] = lambda _answer: Reply(status=500)
    ended = cli(*again, *endpoint.arguments(NO_RETRIES))
    assert ended.code == 0, ended.err
    assert judged(folder) == first and states(folder) == {"valid": 3}
    notes = " ".join(record(folder)["notes"])
    assert "3 verdicts of an earlier judging stay" in notes and "HTTP 500" in notes
    # It has moved, and one of three questions is answered: the same judge by the same rubric, so the others stay.
    moved = scripted(lambda body, _: absolute(7) if shown(body)["answer"] == "4" else Reply(status=500))
    ended = cli(*again, *moved.arguments(NO_RETRIES, f"+{WHERE}.set.max_failed=null"))
    assert ended.code == 0, ended.err
    assert states(folder) == {"valid": 3} and record(folder)["metrics"]["judge/score"] == 6
    assert record(folder)["metrics"]["judge/prompt_tokens"] == 3 * PROMPT_TOKENS
    assert record(folder)["metrics"]["judge/completion_tokens"] == 3 * COMPLETION_TOKENS
    assert "2 verdicts of an earlier judging stay" in " ".join(record(folder)["notes"])
    # Another judge that says nothing at all leaves the earlier judging whole.
    before, config = judged(folder), (folder / "config.yaml").read_text()
    ended = cli(*again, *endpoint.arguments(NO_RETRIES, f"{WHERE}.name=another"))
    assert ended.code == 0, ended.err
    assert judged(folder) == before and states(folder) == {"valid": 3}
    assert "the earlier verdicts stay, by scripted" in ended.err
    assert "another" not in (folder / "config.yaml").read_text() == config
    # And one that answers is another judging, with verdicts of its own.
    state["reply"] = lambda answer: absolute(1) if answer == "2" else Reply(status=500)
    ended = cli(*again, "tracking=mlflow",
                *endpoint.arguments(NO_RETRIES, f"{WHERE}.name=another", f"+{WHERE}.set.max_failed=null"))  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = record(folder)["metrics"]
    assert metrics["judge/score"] == 1 and metrics["judge/failed"] == pytest.approx(2 / 3)
    assert states(folder) == {"valid": 1, "failed": 2}
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{cli.folder / 'mlflow.db'}")
    run = client.get_run((folder / "run_id").read_text().strip())
    history = [one.value for one in client.get_metric_history(run.info.run_id, "judge/score")]
    assert run.data.metrics["judge/score"] == 1 and run.info.status == "FINISHED"
    assert history == [5, 5, 6, 6, 1]


def test_a_picture_that_is_gone_and_a_spent_budget_take_no_verdict_away(cli: CommandLine, scripted):
    endpoint = scripted(lambda _body, _number: absolute(8))
    folder = cli.folder / "job"
    ended = cli("model=demo_m", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl",
                f"dataset.path={rows(cli, ['one', 'two'])}", f"hydra.run.dir={folder}")  # fmt: skip
    assert ended.code == 0, ended.err
    price = (f"{WHERE}.input_usd=1000", f"{WHERE}.output_usd=1000", f"{WHERE}.image_tokens=100")
    again = (*AGAIN, "tracking=none", f"answers={folder}", "judge.image=true", "judge.budget_usd=1000",
             *endpoint.arguments(*price))  # fmt: skip
    assert cli(*again).code == 0
    first = judged(folder)
    assert first["judge/score"] == 8
    shutil.rmtree(cli.folder / "store")
    assert cli(*again, "judge.budget_usd=0").code == 0
    assert judged(folder) == first
    (cli.folder / "page.png").unlink()
    assert cli(*again).code == 0
    assert judged(folder) == first and len(endpoint.bodies) == 2


def test_what_is_no_verdict_is_asked_about_anew_by_each_command_and_once(cli: CommandLine, scripted):
    state = {"mode": "babbling"}

    def script(body, _number):
        answer = shown(body)["answer"]
        if answer == "bad" and state["mode"] != "well":
            return "seven, I would say" if state["mode"] == "babbling" else Reply(status=500)
        return absolute(6)

    endpoint = scripted(script)
    answers = table(cli, ["good", "bad", "bad"])
    command = (*AGAIN, "tracking=none", f"answers={answers}", *endpoint.arguments(NO_RETRIES, f"{WHERE}.concurrency=1"))
    assert cli(*command).code == 0
    folder = job(cli)
    first = judged(folder)
    assert first["judge/invalid"] == pytest.approx(2 / 3) and first["judge/score"] == 6
    assert len(endpoint.bodies) == 1 + 2, "equal questions once, and one attempt to repair"
    again = (*command[:-len(endpoint.arguments(NO_RETRIES, ""))], f"answers={folder}",
             *endpoint.arguments(NO_RETRIES, f"{WHERE}.concurrency=1"))  # fmt: skip
    # As invalid as before: asked once more, with one repair, and the figures are the same.
    ended = cli(*again)
    assert ended.code == 0, ended.err
    assert "1 to ask (1 of them again: the stored reply is no verdict)" in ended.err
    assert len(endpoint.bodies) == 3 + 2 and judged(folder) == first
    # Down: nothing that was known gets lost.
    state["mode"] = "down"
    assert cli(*again).code == 0
    assert len(endpoint.bodies) == 5 + 1 and judged(folder) == first and states(folder)["invalid"] == 2
    # A new job, where no earlier verdict stands beside the answers: what the store knows still counts.
    assert cli(*command).code == 0
    assert judged(job(cli)) == first
    # Well again: a verdict, which later commands take from the store.
    state["mode"] = "well"
    before = len(endpoint.bodies)
    assert cli(*again).code == 0
    assert len(endpoint.bodies) == before + 1
    metrics = record(folder)["metrics"]
    assert metrics["judge/invalid"] == metrics["judge/failed"] == 0 and metrics["judge/score"] == 6
    assert cli(*again).code == 0 and len(endpoint.bodies) == before + 1


def test_two_jobs_of_one_command_ask_about_an_invalid_verdict_once(cli: CommandLine, scripted):
    endpoint = scripted(lambda _body, _number: "no verdict")
    command = ("-m", "model=demo_m,demo_s", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl",
               f"dataset.path={rows(cli, ['the same'])}", "metrics=[]", "judge=absolute",
               *endpoint.arguments())  # fmt: skip
    assert cli(*command).code == 0
    assert len(endpoint.bodies) == 2
    assert cli(*command).code == 0
    assert len(endpoint.bodies) == 4


def test_a_valid_verdict_gives_way_to_a_valid_one_only(cli: CommandLine, scripted):
    replies = {"now": pairwise(6, 3)}
    endpoint = scripted(lambda _body, _number: replies["now"])
    answers = table(cli, ["a", "b"])
    command = ("stage=score", "metrics=[]", "tracking=none", "judge=pairwise", "judge.orders=alternate")
    assert cli(*command, f"answers={answers}", *endpoint.arguments()).code == 0
    folder = job(cli)
    first = judged(folder)
    assert set(first) >= {"judge/ratio", "judge/invalid"}
    shutil.rmtree(cli.folder / "store")
    replies["now"] = "I can't judge that."
    assert cli(*command, f"answers={folder}", *endpoint.arguments()).code == 0
    assert judged(folder) == first and states(folder) == {"valid": 2}
    shutil.rmtree(cli.folder / "store")
    replies["now"] = pairwise(5, 5)
    assert cli(*command, f"answers={folder}", *endpoint.arguments()).code == 0
    assert record(folder)["metrics"]["judge/ratio"] == 1


def test_verdicts_of_an_older_version_stay_too(cli: CommandLine, scripted):
    """Rows that were written before they said who judged: the version of the judging says it."""
    up = {"is": True}
    endpoint = scripted(lambda _body, _number: absolute(4) if up["is"] else Reply(status=503))
    command = (*AGAIN, "tracking=none", *endpoint.arguments(NO_RETRIES))
    assert cli(*command, f"answers={table(cli, ['a', 'b'])}").code == 0
    folder = job(cli)
    rows_of = verdicts(folder).values()
    old = [{name: one[name] for name in one if name != "judged_by"} for found in rows_of for one in found]
    (folder / "verdicts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in old))
    first = judged(folder)
    shutil.rmtree(cli.folder / "store")
    up["is"] = False
    assert cli(*command, f"answers={folder}").code == 0
    assert judged(folder) == first and states(folder) == {"valid": 2}


@pytest.mark.parametrize("refuses", [False, True])
def test_an_endpoint_that_does_not_stream_judges_all_the_same(cli: CommandLine, scripted, refuses: bool):
    def script(body, _number):
        if refuses and body.get("stream"):
            return Reply(status=400, words="'stream': true is not supported by this deployment")
        return Reply(absolute(float(shown(body)["answer"])), stream=False)

    endpoint = scripted(script)
    ended = cli(*AGAIN, "tracking=none", f"answers={table(cli, ['3', '5', '7', '9'])}",
                *endpoint.arguments(f"{WHERE}.concurrency=1"))  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = record(job(cli))["metrics"]
    assert metrics["judge/score"] == 6 and metrics["judge/failed"] == 0
    assert metrics["judge/completion_tokens"] == 4 * COMPLETION_TOKENS
    assert len(endpoint.bodies) == 4 + refuses, "the refusal is asked for once"


def test_more_failures_than_allowed_end_the_asking(cli: CommandLine, scripted):
    endpoint = scripted(lambda body, _: absolute(5) if shown(body)["answer"] == "0" else Reply(status=500))
    command = (*AGAIN, "tracking=none", f"answers={table(cli, [str(n) for n in range(10)])}",
               *endpoint.arguments(NO_RETRIES, f"{WHERE}.concurrency=1"))  # fmt: skip
    ended = cli(*command)
    assert ended.code == 0, ended.err
    assert len(endpoint.bodies) == 1 + 6, "half of ten may fail"
    metrics = record(job(cli))["metrics"]
    assert metrics["judge/score"] == 5 and metrics["judge/failed"] == pytest.approx(0.9)
    assert f"more than +{WHERE}.set.max_failed=0.5 allows" in ended.err and "HTTP 500" in ended.err
    before = len(endpoint.bodies)
    assert cli(*command, f"+{WHERE}.set.max_failed=null").code == 0
    assert len(endpoint.bodies) == before + 9


def test_a_judges_engine_that_hangs_is_started_again(cli: CommandLine):
    said = [json.dumps({"explanation": f"about {n}", "answer": {"correctness": n}}) for n in (2, 4, 9)]
    engine = "judge.model.engine"
    command = ("model=demo_m", "backend=hf", "backend.name=echo", "tracking=none", "dataset=jsonl",
               f"dataset.path={rows(cli, said)}", "metrics=[]", "judge=absolute", "judge/model=[engine]",
               f"{engine}.model=demo_m", f"{engine}.request_timeout_s=1.5", f"{engine}.concurrency=1",
               f"{engine}.retries=0")  # fmt: skip
    broken = f"+{engine}.set.backend={{name: echo, max_restarts: %d, engine_args: {{hang_after: %d}}}}"
    ended = cli(*command, broken % (0, 2))
    assert ended.code == 0, ended.err
    metrics = record(job(cli))["metrics"]
    assert metrics["judge/score"] == 3 and metrics["judge/failed"] == pytest.approx(1 / 3)
    notes = " ".join(record(job(cli))["notes"])
    assert "the engine hung" in notes + ended.err and f"{engine}.request_timeout_s" in notes + ended.err
    assert f"+{engine}.set.backend.max_restarts=0" in ended.err
    # Another engine (its arguments name it), so all three are asked: it hangs at the third, which the next one answers.
    ended = cli(*command, broken % (1, 2) + "", f"+{engine}.set.backend.engine_args.delay_s=0.01")
    assert ended.code == 0, ended.err
    metrics = record(job(cli))["metrics"]
    assert metrics["judge/score"] == 5 and metrics["judge/failed"] == 0
    (note,) = [note for note in record(job(cli))["notes"] if "started again" in note]
    assert note.startswith("judge engine: the engine died and was started again (1x): the engine hung")
