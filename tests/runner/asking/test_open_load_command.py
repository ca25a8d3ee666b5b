"""Open loads as a user runs them: what they leave, what they reuse, and what is refused."""

import json
from typing import Any

import pytest

from runner.jobs.rows import case
from tests.conftest import CommandLine

ECHO = ("backend.name=echo", "dataset.limit=12", "metrics=[cer]")
SLO = "report.slo={ttft/p95_s: 30, latency/p95_s: 60}"


def jobs(cli: CommandLine) -> list[dict[str, Any]]:
    paths = sorted((cli.folder / "outputs").rglob("metrics.json"), key=lambda path: path.stat().st_mtime)
    return [
        json.loads(path.read_text())
        | {"rows": [json.loads(line) for line in path.with_name("answers.jsonl").read_text().splitlines()]}
        for path in paths
    ]


def test_an_open_load_is_measured_once_and_then_reused(cli: CommandLine):
    command = (*ECHO, "load=constant", "load.rate=40", "load.settle_s=0.1", SLO, "env.price_per_hour=3.6")
    command = (*command, "report.constraints={goodput/share: '>=0.5', cost/usd: '<1'}")
    first, second = cli(*command), cli(*command)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    one, other = jobs(cli)
    rows = one["rows"]
    assert [row["timing"]["settled"] for row in rows] == [False] * 4 + [True] * 8
    known = [case(row).facts["latency_s"] is not None for row in rows]
    assert known == [False] * 4 + [True] * 8, "metrics that divide by a latency must not see what is not measured"
    assert all("constant rate=40.0" in row["conditions"]["load"] for row in rows)
    values = one["metrics"]
    assert values["goodput/share"] == 1
    assert values["load/offered_per_s"] == values["goodput/requests_per_s"]
    assert {"load/late_p99_s", "load/late_share", "load/in_flight_mean", "load/held_share"} <= set(values)
    assert any("4 answers were due before the load had settled" in note for note in one["notes"])
    assert any("goodput counts answers with ttft <= 30 s, latency <= 60 s" in note for note in one["notes"])
    assert values["cost/usd"] == pytest.approx(12 * 0.001 / values["throughput/requests_per_s"]), "all answers count"
    same = {
        name
        for name in values
        if name.startswith(("load/", "goodput/", "throughput/", "latency/", "quality/", "cost/"))
    }
    assert other["metrics"]["samples/reused"] == 12
    # Answers are summed up in the order in which they came, which moves a sum by its last digit.
    assert {name: other["metrics"][name] for name in same} == pytest.approx({n: values[n] for n in same}, rel=1e-12)


def test_a_dry_plan_reckons_with_the_rate(cli: CommandLine):
    ended = cli(*ECHO, "load=constant", "load.rate=2", "env.price_per_hour=3.6", "plan=dry", "tracking=none")
    assert ended.code == 0, ended.err
    assert "asking: about 6 s" in ended.out and "cost: about 0.006 USD" in ended.out, ended.out


def test_a_duration_asks_some_of_the_questions(cli: CommandLine):
    ended = cli(*ECHO, "load=poisson", "load.rate=50", "load.duration_s=0.1", "load.settle_s=0")
    assert ended.code == 0, ended.err
    (job,) = jobs(cli)
    assert 0 < job["metrics"]["samples/total"] == len(job["rows"]) < 12


def test_settings_that_make_no_load_are_refused_together(cli: CommandLine):
    ended = cli(*ECHO, "load=poisson", "concurrency=4", "load.path=arrivals.csv", "report.slo={latency/p96_s: 1}")
    assert ended.code == 2
    for told in ("load.rate", "load.max_in_flight", "load.path", "latency/p95_s"):
        assert told in ended.err, ended.err
    ended = cli(*ECHO, "load.rate=4")
    assert ended.code == 2 and "load=constant or load=poisson" in ended.err, ended.err
