"""Money from the command line: what the demo costs at a made-up price, and a budget that ends a job."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3

import pytest

from tests.conftest import CommandLine
from tests.runner.scoring.judging.scripted_judge import COMPLETION_TOKENS, PROMPT_TOKENS, Reply, ScriptedJudge

PRICED = ("model.price.input_usd=10", "model.price.output_usd=100", "model.price.date=2026-11-28")


def test_what_the_demo_costs_stands_in_report_mlflow_and_dry_plan(cli: CommandLine):
    demo = ("-m", "model=demo_s,demo_m", "backend.name=echo", "dataset.limit=8", "metrics=[exact_match,cer]", *PRICED)
    before = cli(*demo, "tracking=none", "plan=dry")
    assert before.code == 0 and "1,000 pages: demo_s-bf16 about " in before.out, before.err + before.out
    ended = cli(*demo, "report.constraints={cost/usd_per_1000_pages: <100000}")
    assert ended.code == 0, ended.err + ended.out
    paths = sorted(cli.folder.glob("multirun/*/*/*/metrics.json"))
    per_pages = {}
    for path in paths:
        record = json.loads(path.read_text())
        rows = [json.loads(line) for line in (path.parent / "answers.jsonl").read_text().splitlines()]
        cost = sum(10 * row["prompt_tokens"] + 100 * row["completion_tokens"] for row in rows) / 1e6
        pages = len({name for row in rows for name in row["images"]})
        assert record["metrics"]["cost/usd"] == pytest.approx(cost)
        assert record["metrics"]["cost/paid_usd"] > cost, "warm-up requests are paid for, too"
        assert 1 <= pages < len(rows)
        per_pages[record["name"]] = record["metrics"]["cost/usd_per_1000_pages"]
        assert per_pages[record["name"]] == pytest.approx(1000 * cost / pages)
        assert any(
            "10 USD for a million tokens of input, 100 of output (2026-11-28)" in note for note in record["notes"]
        )
    with contextlib.closing(sqlite3.connect(cli.folder / "mlflow.db")) as database:
        tracked = database.execute("SELECT value FROM metrics WHERE key = 'cost/usd_per_1000_pages'").fetchall()
    assert sorted(value for (value,) in tracked) == pytest.approx(sorted(per_pages.values()))
    (page,) = cli.folder.glob("multirun/*/*/report.html")
    assert "What 1,000 pages cost" in page.read_text() and "1,000 pages</" in page.read_text()
    assert "USD per 1,000 pages" in ended.out
    again = cli(
        *demo, "tracking=none", "plan=dry", "dataset.limit=12", "budget_usd=0.0001", "model.price.image_tokens=9"
    )
    assert "cost: about 0.0" in again.out and "budget_usd=0.0001 will be spent after about" in again.out, again.err
    # As many tokens an answer as in the store: about the same for a page.
    told = re.search(r"demo_s-bf16 about ([\d.e+-]+) USD", again.out)
    assert told is not None and float(told[1]) == pytest.approx(per_pages["demo_s-bf16"], rel=0.5)


def test_a_spent_budget_ends_the_job_and_what_was_answered_is_not_paid_twice(cli: CommandLine):
    each = (PROMPT_TOKENS * 10 + COMPLETION_TOKENS * 100) / 1e6
    with ScriptedJudge(lambda _body, _number: Reply("x", wait_s=0.01)) as endpoint:
        command = ("-m", "model=openai", "model.name=paid,other", f"backend.base_url={endpoint.url}", "tracking=none")
        command = (*command, "backend.api_key_variable=null", "dataset.limit=24", "metrics=[exact_match]", "warmup=0")
        command = (*command, *PRICED, "model.price.image_tokens=100", "sampling.max_tokens=60", "concurrency=64")
        ended = cli(*command, f"budget_usd={10.5 * each}")
        paid = len(endpoint.bodies) * each
        assert paid <= 10.5 * each, "both jobs share one budget"
        assert ended.code == 1 and "budget_usd=" in ended.out and "is spent" in ended.out, ended.err + ended.out
        assert "questions were not asked" in ended.out
        before = len(endpoint.bodies)
        assert 0 < before < 24
        ended = cli(*command, "budget_usd=null")
        assert ended.code == 0 and len(endpoint.bodies) == 48, "nothing is asked twice"
    newest = max(cli.folder.glob("multirun/*/*/0*/metrics.json"))
    metrics = json.loads(newest.read_text())["metrics"]
    assert metrics["cost/usd"] == pytest.approx(24 * each) and metrics["cost/paid_usd"] == pytest.approx(
        (24 - before) * each
    )


def test_a_budget_that_ends_an_open_load_leaves_figures_of_what_was_sent(cli: CommandLine):
    each = (PROMPT_TOKENS * 10 + COMPLETION_TOKENS * 100) / 1e6
    with ScriptedJudge(lambda _body, _number: Reply("x", wait_s=0.01)) as endpoint:
        command = ("model=openai", "model.name=paid", f"backend.base_url={endpoint.url}", "tracking=none", "warmup=0")
        command = (*command, "backend.api_key_variable=null", "dataset.limit=12", "metrics=[exact_match]", *PRICED)
        command = (*command, "model.price.image_tokens=100", "sampling.max_tokens=60", "load=constant", "load.rate=20")
        command = (*command, "load.settle_s=0", "report.slo={latency/p95_s: 60}")
        ended = cli(*command, f"budget_usd={6.5 * each}")
        assert ended.code == 1 and "is spent" in ended.out + ended.err, ended.err + ended.out
        assert 0 < len(endpoint.bodies) < 12 and len(endpoint.bodies) * each <= 6.5 * each
        ended = cli(*command)
        assert ended.code == 0 and len(endpoint.bodies) == 12, "nothing is asked twice"
    first, last = sorted(cli.folder.rglob("metrics.json"), key=lambda path: path.stat().st_mtime)
    assert json.loads(last.read_text())["metrics"]["goodput/share"] == 1, "what was refused is no answer that came late"
    assert json.loads(last.read_text())["metrics"]["cost/usd"] == pytest.approx(12 * each)
    assert json.loads(first.read_text())["metrics"]["samples/failed"] == 0
