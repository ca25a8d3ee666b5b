"""What `plan=dry` foretells of searches for the highest rate, held against real searches on queues that are known.

The endpoints and the clock are those of test_capacity_search.py.
"""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.base import paths
from runner.jobs.capacity import Found
from runner.store import Shelf
from runner.sweeps import dry_plan
from runner.sweeps.capacity_forecast import Foretold
from tests.runner.sweeps.test_capacity_search import (
    PICTURES,
    SLO,
    Queue,
    Stopped,
    asked_and_found,
    closed_part,
    pictures,
    planned,
    steady,
)


class Both:
    """Searches, and foretells searches, with one store."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dataset, self.store = pictures(folder, PICTURES), folder / "store"
        monkeypatch.setenv("RUNNER_STORE", str(self.store))
        self.monkeypatch = monkeypatch

    def foretold(self, *overrides: str) -> Foretold:
        told = dry_plan.forecast(planned(self.dataset, *overrides)).search
        assert told is not None
        return told

    def search(self, queue: Queue, *overrides: str) -> Found:
        job = planned(self.dataset, *overrides)
        with Shelf.of(paths.store_dir(), job.spec) as shelf:
            return asked_and_found(job, shelf, queue, self.monkeypatch)

    def close(self, queue: Queue, *overrides: str) -> None:
        """Ask the closed part alone."""
        job = planned(self.dataset, *overrides)
        with Shelf.of(paths.store_dir(), job.spec) as shelf:
            closed_part(job, shelf, queue, self.monkeypatch)


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    return Both(tmp_path, monkeypatch)


def requests(found: Found) -> int:
    return sum(len(look.sent) for step in found.steps for look in step.looks)


CASES: dict[str, tuple[Callable[[], Queue], tuple[str, ...]]] = {
    "four servers": (lambda: Queue(4, steady(0.1)), (SLO,)),
    "service times that vary": (
        lambda: Queue(4, lambda draw: draw.expovariate(10)),
        ("report.slo={latency/p95_s: 0.5}", "load.looks=2"),
    ),
    "few steps": (lambda: Queue(4, steady(0.1)), (SLO, "load.steps=3")),
    "too few pictures": (lambda: Queue(1000, steady(0.1)), (SLO, "load.picture_repeats=10")),
    "an objective that is never kept": (lambda: Queue(4, steady(0.5)), (SLO,)),
    "requests that hardly meet": (lambda: Queue(8, steady(0.5)), (SLO, "concurrency=8")),
    "a first rate far above": (lambda: Queue(1, steady(0.1)), ("report.slo={latency/p95_s: 5}", "load.rate=50")),
}


@pytest.mark.parametrize("case", CASES)
def test_no_search_asks_more_than_was_foretold(both: Both, case: str):
    make, overrides = CASES[case]
    before = both.foretold(*overrides)  # nothing is known yet
    both.close(make(), *overrides)
    told = both.foretold(*overrides)
    found = both.search(make(), *overrides)
    assert not told.is_estimate and told.stored_rates == 0
    assert len(found.steps) <= told.rates <= before.rates
    assert requests(found) <= told.requests <= before.requests
    assert told.hopeless == (found.outcome.ending == "never")
    if found.outcome.ending == "found":  # where the likely figures are those of the course that it took, or near it
        assert told.likely_rates is not None and told.likely_requests is not None
        assert len(found.steps) / 2 <= told.likely_rates <= 2 * len(found.steps)
        assert requests(found) / 2.5 <= told.likely_requests
        # At higher rates a look of a generous limit has far more requests than at the one that was found.
        assert told.likely_requests <= 2.5 * requests(found) or "latency/p95_s: 5}" in overrides[0]
    after = both.foretold(*overrides)
    assert (after.rates, after.requests, after.likely_s) == (0, 0, 0), "all is in the store"
    assert after.stored_rates == len(found.steps)


def test_what_is_stored_is_not_foretold_again(both: Both):
    both.close(Queue(4, steady(0.1)), SLO)
    whole = both.foretold(SLO)
    queue = Queue(4, steady(0.1))
    queue.breaks_in = 3 + 445 + 200  # in the middle of the second look
    with pytest.raises(Stopped):
        both.search(queue, SLO)
    rest = both.foretold(SLO)
    assert rest.stored_rates == 1 and rest.rates == whole.rates - 1 and rest.requests < whole.requests
    assert rest.likely_rates is not None and whole.likely_rates is not None
    queue.breaks_in = None
    begun = len(queue.loads)
    both.search(queue, SLO)
    assert sum(map(len, queue.loads[begun:])) - 3 <= rest.requests, "3 are the warm-up's"
    again = both.foretold(SLO, "reuse=never")
    assert again.stored_rates == 0 and again.rates > 0, "all will be asked anew"


def test_looks_at_a_rate_that_is_not_decided_are_taken_off(both: Both):
    """A search that was stopped at its second look at a rate has one look less to go there."""
    service: Callable[[random.Random], float] = lambda draw: draw.expovariate(10)  # noqa: E731
    overrides = ("report.slo={latency/p95_s: 0.5}", "load.rate=33")
    both.close(Queue(4, service), *overrides)
    whole = both.foretold(*overrides)
    queue = Queue(4, service)
    queue.breaks_in = 3 + 445 + 10
    with pytest.raises(Stopped):
        both.search(queue, *overrides)
    rest = both.foretold(*overrides)
    assert (rest.stored_rates, rest.rates) == (0, whole.rates), "one look did not decide"
    assert whole.requests - rest.requests == 445


def test_a_job_of_which_other_answers_are_stored_is_estimated(both: Both):
    both.close(Queue(4, steady(0.1)), SLO)
    told = both.foretold(SLO, "concurrency=2")
    assert told.is_estimate and told.likely_rates is not None and told.likely_s is not None and told.likely_s > 0
    assert told.rates == 12


def test_nothing_known_has_no_likely_figures_and_is_bounded_all_the_same(both: Both):
    told = both.foretold(SLO)
    assert told == Foretold(12, None, 0, 12 * 4 * 60_000, None, None, None, is_estimate=True)


def test_a_rate_that_is_given_tells_the_lengths_of_looks(both: Both):
    told = both.foretold(SLO, "load.rate=10")
    assert told.is_estimate and told.rates == 12 and told.likely_s is not None and told.requests < 12 * 4 * 60_000


def test_other_loads_have_no_search(both: Both):
    job = dataclasses.replace(planned(both.dataset, SLO), capacity=None)
    assert dry_plan.forecast(job).search is None
