"""A budget is never exceeded: not by requests in flight, not by several workers, not by pictures or cached input."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from backends.api import Failure, Generation, GenerationRequest, ImagePart, Message, Sampling, TextPart, Timing
from runner.asking.budget import GIVE_UP_AFTER, Ledger, Spending, most_text_tokens
from runner.planning.prices import Price

PRICE = Price(input_usd=2.0, output_usd=8.0, image_tokens=500, cached_usd=0.2)
REQUEST = GenerationRequest(
    "k", (Message("user", (ImagePart(b"", "image/png"), TextPart("Что на странице?"))),), Sampling(max_tokens=100)
)


def answer(spent: float = 1.0) -> Generation:
    """An answer that took a share of what was reserved for it."""
    return Generation("k", "x", None, prompt_tokens=int(500 * spent), completion_tokens=int(100 * spent))


async def _ask_many(spending: Spending, requests: int, in_flight: int) -> tuple[int, int]:
    """Ask as the load loop does. Return how many were answered, and how many were in flight at once."""
    slots, at_once, most, answered = asyncio.Semaphore(in_flight), 0, 0, 0

    async def one(number: int) -> None:
        nonlocal at_once, most, answered
        request = dataclasses.replace(REQUEST, key=str(number))
        async with slots:
            if await spending.enter(request) is not None:
                return
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1
            answered += 1
            spending.leave(request, answer(0.2 + 0.1 * (number % 8)))

    await asyncio.gather(*map(one, range(requests)))
    return answered, most


def test_64_requests_in_flight_never_exceed_it(tmp_path: Path):
    each = Spending(PRICE, Ledger(tmp_path / "x", None)).most(REQUEST)
    limit = 100 * each
    spending = Spending(PRICE, Ledger(tmp_path / "budget.json", limit), "budget_usd")
    answered, most = asyncio.run(_ask_many(spending, 500, 64))
    assert most > 1 and 0 < answered < 500
    assert 0.9 * limit < spending.paid <= limit, "what was reserved and not spent is used again"
    reserved, spent = json.loads((tmp_path / "budget.json").read_text())
    assert reserved == pytest.approx(0, abs=1e-9) and spent == pytest.approx(spending.paid)
    refused = asyncio.run(spending.enter(REQUEST))
    assert refused is not None and refused.kind == "over_budget" and "budget_usd=" in refused.message


def test_two_workers_share_one_budget(tmp_path: Path):
    each = Spending(PRICE, Ledger(tmp_path / "x", None)).most(REQUEST)
    limit = 80 * each
    command = [sys.executable, __file__, str(tmp_path / "both.json"), str(limit)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    told = [json.loads(worker.communicate(timeout=600)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert 0.9 * limit < sum(paid for paid, _ in told) <= limit
    assert all(answered < 200 for _, answered in told)


def test_what_is_reserved_is_the_most_that_a_request_may_cost(tmp_path: Path):
    spending = Spending(PRICE, Ledger(tmp_path / "b.json", 1.0), "budget_usd")
    text = len("Что на странице?".encode())
    assert spending.most(REQUEST) == pytest.approx(((text + 64 + 32 + 500) * 2 + 100 * 8) / 1e6)
    dear_cache = Price(input_usd=1.0, output_usd=0.0, image_tokens=0, cached_usd=4.0)
    assert Spending(dear_cache, spending.ledger).most(REQUEST) == pytest.approx((text + 96) * 4 / 1e6)
    cached = Generation("k", "x", None, prompt_tokens=600, completion_tokens=10, cached_tokens=500)
    assert asyncio.run(spending.enter(REQUEST)) is None
    spending.leave(REQUEST, cached)
    assert spending.paid == pytest.approx((100 * 2 + 500 * 0.2 + 10 * 8) / 1e6)


TIMED_OUT, SLOWED = Failure("timeout", "t"), Failure("rate_limited", "t")


@pytest.mark.parametrize(
    ("generation", "sure"),
    [
        (None, False),
        (Generation("k", "x", None), False),
        (Generation("k", None, TIMED_OUT), False),
        (Generation("k", None, SLOWED), True),
        (Generation("k", None, SLOWED, timing=Timing(0.0, 1.0, 0.5)), False),  # in the middle of its answer
    ],
)
def test_what_nobody_counted_stays_reserved_in_full(tmp_path: Path, generation: Generation | None, sure: bool):
    spending = Spending(PRICE, Ledger(tmp_path / "b.json", 1.0), "budget_usd")
    assert asyncio.run(spending.enter(REQUEST)) is None
    spending.leave(REQUEST, generation)
    assert spending.paid == 0 and spending.doubtful == (0 if sure else pytest.approx(spending.most(REQUEST)))
    assert spending.ledger.committed == pytest.approx(spending.doubtful)


@pytest.mark.parametrize(("gives_up", "kind"), [(True, "server_error"), (False, None)])
def test_only_a_judge_is_given_up_after_failures_in_a_row(tmp_path: Path, gives_up: bool, kind: str | None):
    """A candidate's questions have their `retries` and its job its `max_failed`; a judge has only this."""
    spending = Spending(PRICE, Ledger(tmp_path / "b.json", None), gives_up=gives_up)
    for _ in range(GIVE_UP_AFTER):
        assert asyncio.run(spending.enter(REQUEST)) is None
        spending.leave(REQUEST, Generation("k", None, Failure("server_error", "503")))
    refused = asyncio.run(spending.enter(REQUEST))
    assert (refused.kind if refused else None) == kind


def test_a_refused_key_ends_the_asking_of_either(tmp_path: Path):
    spending = Spending(PRICE, Ledger(tmp_path / "b.json", None), gives_up=False)
    assert asyncio.run(spending.enter(REQUEST)) is None
    spending.leave(REQUEST, Generation("k", None, Failure("unauthorised", "401")))
    refused = asyncio.run(spending.enter(REQUEST))
    assert refused is not None and refused.kind == "unauthorised"


def test_a_schema_is_input_that_is_paid(tmp_path: Path):
    schema = {"type": "object", "properties": {f"поле_{number}": {"type": "string"} for number in range(20)}}
    held = dataclasses.replace(REQUEST, response_schema=schema)
    spending = Spending(PRICE, Ledger(tmp_path / "b.json", None))
    more = spending.most(held) - spending.most(REQUEST)
    assert more == pytest.approx(len(json.dumps(schema)) * PRICE.input_usd / 1e6)
    assert most_text_tokens(held.messages, schema) - most_text_tokens(held.messages) == len(json.dumps(schema))


if __name__ == "__main__":  # one of two workers
    worker = Spending(PRICE, Ledger(Path(sys.argv[1]), float(sys.argv[2])), "budget_usd")
    answered, _ = asyncio.run(_ask_many(worker, 200, 64))
    print(json.dumps([worker.paid, answered]))
