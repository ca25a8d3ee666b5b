"""`load=capacity` as a user runs it: what it leaves, what the verdict takes of it, a kill, and what is refused."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from runner.jobs.folder import JobFolder
from tests.backends.fake_backend import wait_until
from tests.backends.queueing_endpoint import QueueingEndpoint
from tests.conftest import CommandLine
from tests.runner.sweeps.test_capacity_search import pictures

# At 40 requests a second ten pictures are a load of a quarter of a second: more can't be shown with so few.
LOOK = ("load=capacity", "load.requests=10", "load.looks=2", "load.resolution=1", "report.slo={latency/p50_s: 0.5}")


def given(dataset: Path, *urls: str) -> tuple[str, ...]:
    endpoint = ("model=openai", "model.name=queue", "backend=openai", "backend.api_key_variable=null")
    return (*endpoint, f"backend.base_url={','.join(urls)}", "dataset=jsonl", f"dataset.path={dataset}", *LOOK)


def jobs(cli: CommandLine) -> list[dict[str, Any]]:
    folders = sorted(JobFolder.paths_below(cli.folder))
    return [json.loads((one / "metrics.json").read_text(encoding="utf-8")) | {"folder": one} for one in folders]


def test_the_verdict_takes_the_candidate_that_carries_enough(cli: CommandLine, tmp_path: Path):
    (tmp_path / "data").mkdir()
    dataset = pictures(tmp_path / "data", 10)
    rows = [json.loads(line) | {"references": ["Петров"]} for line in dataset.read_text(encoding="utf-8").splitlines()]
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    demand = ("report.constraints={capacity/pages_per_hour: '>=100'}", "report.pages_per_day=10000", "metrics=[cer]")
    with QueueingEndpoint(20, 0.8) as slow, QueueingEndpoint(100, 0.01) as quick:
        ended = cli("-m", *given(dataset, slow.url, quick.url), *demand, "env.price_per_hour=2")
        assert ended.code == 0, ended.err
    first, second = jobs(cli)
    assert (first["status"], second["status"]) == ("finished", "finished")
    assert not any(name.startswith("capacity/") and name.endswith("second") for name in first["metrics"])
    assert any("none: latency p50 <= 0.5 s does not even hold" in note for note in first["notes"])
    described = json.loads((second["folder"] / "capacity.json").read_text(encoding="utf-8"))
    assert described["ending"] == "ceiling" and described["steps"]
    assert second["metrics"]["capacity/at_least_pages_per_hour"] == 3600 * described["holds_per_s"]
    assert "capacity/pages_per_hour" not in second["metrics"], "a bound is no capacity"
    verdict = ended.out.split("Verdict:")[1].splitlines()[0]
    assert "take" in verdict and quick.url.split("/")[2] in verdict, ended.out
    page = next(cli.folder.rglob("report.html")).read_text(encoding="utf-8")
    assert "What one engine carries" in page and "The knee" in page


def test_plan_dry_foretells_what_a_search_then_asks_and_nothing_of_what_is_stored(cli: CommandLine, tmp_path: Path):
    (tmp_path / "data").mkdir()
    dataset = pictures(tmp_path / "data", 10)
    with QueueingEndpoint(100, 0.01) as endpoint:
        command = (*given(dataset, endpoint.url), "metrics=[]", "tracking=none", "env.price_per_hour=2")
        dry = cli(*command, "plan=dry", "load.rate=4")
        assert dry.code == 0 and not endpoint.asked, dry.err
        assert "at most 12)" in dry.out and "at most 240 requests; cost: about" in dry.out, dry.out
        unknown = cli(*command, "plan=dry").out
        assert (
            "unknown (at most 12)" in unknown and "looking for the highest rates, beyond that: unknown for" in unknown
        )
        assert cli(*command, "load.rate=4").code == 0
        (job,) = jobs(cli)
        searched, asked = job["metrics"]["capacity/requests"], len(endpoint.asked)
        assert 0 < searched <= 240
        after = cli(*command, "plan=dry", "load.rate=4").out
        assert "0.0 (at most 0)" in after and "at most 0 requests; cost: about 0 USD" in after, after
        assert len(endpoint.asked) == asked, "nothing is asked"


def test_a_killed_search_asks_only_what_is_missing(cli: CommandLine, tmp_path: Path):
    (tmp_path / "data").mkdir()
    dataset = pictures(tmp_path / "data", 10)
    with QueueingEndpoint(100, 0.01) as endpoint:
        command = (*given(dataset, endpoint.url), "metrics=[]", "tracking=none", "load.rate=4")
        endpoint.halt_after = 3 + 10 + 10 + 4  # a warm-up, the questions, a look, and a part of the next one
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                cli.command(*command), cwd=cli.folder, env=cli.environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            wait_until(lambda: len(endpoint.asked) > endpoint.halt_after, 150)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        endpoint.halt_after = None
        before = len(endpoint.asked)
        ended = cli(*command)
        assert ended.code == 0, ended.err
        (job,) = [one for one in jobs(cli) if one["status"] == "finished"]
        assert job["metrics"]["samples/reused"] == 10
        missing = job["metrics"]["capacity/requests"] - 10
        assert len(endpoint.asked) - before == 3 + missing, "the look that was stopped, and those after it"


def test_what_can_show_nothing_is_refused_with_the_settings_that_would(cli: CommandLine, tmp_path: Path):
    (tmp_path / "data").mkdir()
    dataset = pictures(tmp_path / "data", 10)
    command = given(dataset, "http://127.0.0.1:9/v1")
    ended = cli(*command, "load.requests=null", "report.slo={latency/p95_s: 3}", "metrics=[]")
    assert ended.code == 2
    assert "each look sends 445 requests" in ended.err and "load.picture_repeats=45" in ended.err, ended.err
    ended = cli(*command, "report.slo={latency/mean_s: 3}", "load.duration_s=5")
    assert ended.code == 2
    assert "report.slo.latency/mean_s" in ended.err and "load.duration_s" in ended.err, ended.err
