"""kill -9 of the runner at random moments: nothing that was received is lost, nothing is in the result twice.

`make soak` kills it 50 times; SOAK_POINTS, SOAK_SEED and SOAK_MINUTES change that. The moments are drawn over the whole
life of a run: starting, asking, writing answers, scoring. Five kills share their questions; then a run may end.
"""

import os
import random
import time

import pytest

from tests.conftest import CommandLine
from tests.faults.results import ECHO, jobs, last, nothing_left, stored

POINTS = int(os.environ.get("SOAK_POINTS", "50"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
MINUTES = float(os.environ.get("SOAK_MINUTES", "15"))
TOGETHER, CONCURRENCY = 5, 4
pytestmark = [pytest.mark.soak, pytest.mark.timeout(20 * 60)]


def test_kills_at_random_moments_lose_nothing_and_double_nothing(cli: CommandLine):
    moments, began = random.Random(SEED), time.monotonic()
    store, record = cli.folder / "store", cli.folder / "asked"
    job = (*ECHO, "dataset.limit=30", f"concurrency={CONCURRENCY}", "tracking=none",
           "+backend.engine_args.delay_s=0.3", f"+backend.engine_args.record={record}")  # fmt: skip
    first = time.monotonic()
    assert cli(*job, "sampling.seed=0").code == 0
    whole_s, expected = time.monotonic() - first, texts(last(cli.folder))
    kills = while_asking = 0
    for group in range(1, 1 + -(-POINTS // TOGETHER)):
        question = (*job, f"sampling.seed={group}")
        asked_before, stored_before = asked(record), len(stored(store))
        killed_here = 0
        while killed_here < TOGETHER and kills < POINTS and time.monotonic() - began < MINUTES * 60:
            before = stored(store)
            process = cli.start(*question)
            time.sleep(moments.uniform(0, whole_s))
            ended_before = process.poll() is not None
            process.kill()  # -9; nothing where it has ended already
            process.communicate()
            assert nothing_left(store)
            now = stored(store)
            assert now[: len(before)] == before, "answers that were received earlier are there"
            kills, killed_here = kills + 1, killed_here + 1
            while_asking += not ended_before and len(now) > len(before)
            lost = (asked(record) - asked_before) - (len(now) - stored_before)
            assert lost <= CONCURRENCY * killed_here, "only what was in flight was asked in vain"
        ended = cli(*question)
        assert ended.code == 0, ended.err
        found = last(cli.folder)
        assert texts(found) == expected, "as without any kill: each sample once, with its answer"
        assert found["metrics"]["samples/failed"] == 0
        keys = [key for key, _ in stored(store)]
        assert len(keys) == len(set(keys)) == 30 * (group + 1)
        if time.monotonic() - began > MINUTES * 60:
            break
    print(f"{kills} kills in {time.monotonic() - began:.0f} s, {while_asking} of them while answers came in")
    assert kills == POINTS, f"only {kills} of {POINTS} kills fitted into SOAK_MINUTES={MINUTES:g}"
    assert all(one["status"] == "finished" for one in jobs(cli.folder))
    assert cli("verify", module="runner.store").code == 0


def texts(job: dict) -> list[tuple[str, str]]:
    return [(row["sample_id"], row["text"]) for row in job["rows"]]


def asked(record) -> int:
    return len(record.read_text().splitlines()) if record.exists() else 0
