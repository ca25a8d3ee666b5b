"""The search for the highest rate on endpoints whose capacity is known, by a clock of its own.

Time passes only while everything waits (tests/runner/asking/virtual_time.py), so a queue is exact on any machine.
"""

import asyncio
import itertools
import random
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from backends.api import Endpoint, Failure, Generation, GenerationRequest, Timing
from runner import config
from runner.asking import ask_all, load, open_load
from runner.asking.generate import generate
from runner.asking.questions import Generated
from runner.base import paths
from runner.base.errors import JobFailed
from runner.jobs import capacity as figures
from runner.jobs.capacity import Found
from runner.jobs.costs import Costs
from runner.jobs.figures import Seen
from runner.jobs.rows import answer_row
from runner.planning.job import Job
from runner.planning.plan import plan
from runner.store import Shelf
from runner.sweeps import capacity
from tests.runner.asking.virtual_time import virtual_time

PICTURES = 60


class Stopped(Exception):
    """What ends a command in the middle of a load."""


class Queue:
    """An endpoint of so many servers; `service` draws how long each needs for an answer, in seconds."""

    def __init__(self, servers: int, service: Callable[[random.Random], float]) -> None:
        self.servers, self.service, self.draw = servers, service, random.Random(3)
        self.loads: list[list[str]] = []  # the keys that were asked in each load
        self.failing: int | None = None  # one of so many requests fails
        self.breaks_in: int | None = None  # after so many more requests the command is stopped
        self.streams = True

    def client(self, endpoint: Endpoint, **_: object) -> "QueueClient":
        self.loads.append([])
        return QueueClient(self, endpoint)


class QueueClient:
    def __init__(self, queue: Queue, endpoint: Endpoint) -> None:
        self.queue, self.endpoint, self.free = queue, endpoint, asyncio.Semaphore(queue.servers)

    async def __aenter__(self) -> "QueueClient":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def ask(self, request: GenerationRequest) -> Generation:
        queue, clock = self.queue, asyncio.get_running_loop().time
        queue.loads[-1].append(request.key)
        if queue.breaks_in is not None:
            queue.breaks_in -= 1
            if queue.breaks_in < 0:
                raise Stopped
        begin = clock()
        async with self.free:
            await asyncio.sleep(queue.service(queue.draw))
        took = clock() - begin
        if queue.failing and queue.draw.randrange(queue.failing) == 0:
            return Generation(request.key, None, Failure("bad_request", "no"), timing=Timing(begin, took))
        ttft = took if queue.streams else None
        return Generation(request.key, "Петров", None, completion_tokens=2, timing=Timing(begin, took, ttft))


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Found]:
    """Asks an endpoint all questions, and looks for its highest rate; both as `sweeps/run.py` does."""
    dataset = pictures(tmp_path, PICTURES)

    def start(queue: Queue, *overrides: str) -> Found:
        with Shelf(tmp_path / "shelf.jsonl") as shelf:
            return asked_and_found(planned(dataset, *overrides), shelf, queue, monkeypatch)

    return start


def asked_and_found(job: Job, shelf: Shelf, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Found:
    asked, seen = closed_part(job, shelf, queue, monkeypatch)
    return capacity.find(job, shelf, asked, seen, None, lambda: None)


def closed_part(job: Job, shelf: Shelf, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> tuple[Generated, Seen]:
    def run(main: object) -> object:
        with virtual_time() as runner:
            return runner.run(main)

    for module in (load, open_load):
        monkeypatch.setattr(module, "Client", queue.client)
    monkeypatch.setattr(ask_all.asyncio, "run", run)
    seen, asked = Seen(()), Generated()
    generate(job, shelf, asked, lambda _, *row: seen.add(answer_row(*row)))
    return asked, seen


def pictures(folder: Path, count: int) -> Path:
    for number in range(count):
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(folder / f"{number}.png")
    rows = (f'{{"id": "{number}", "images": ["{number}.png"], "question": "Что?"}}\n' for number in range(count))
    (folder / "rows.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder / "rows.jsonl"


def planned(dataset: Path, *overrides: str) -> Job:
    config.register()
    given = [
        *("tracking=none", "metrics=[]", "model=openai", "model.name=queue", "backend=openai", "load=capacity"),
        *("backend.base_url=http://127.0.0.1:9/v1", "backend.api_key_variable=null", "backend.retries=0"),
        *("dataset=jsonl", f"dataset.path={dataset}", "load.picture_repeats=1000", *overrides),
    ]
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())):
        return plan(compose("config", given))


def steady(seconds: float) -> Callable[[random.Random], float]:
    return lambda _: seconds


def rates(found: Found) -> dict[float, str]:
    return {step.rate: step.judged.verdict for step in found.steps}


SLO = "report.slo={latency/p95_s: 0.4}"


def test_the_capacity_of_known_servers_is_found_to_the_resolution(search, tmp_path: Path):
    """Four servers of 0.1 s: at 35.6 requests a second 95% end within 0.4 s (benchmarks/capacity_search.py).

    With another seed a search may end elsewhere: how often is what that benchmark counts.
    """
    found = search(Queue(4, steady(0.1)), SLO, "load.seed=1")
    assert found.outcome.ending == "found" and found.holds is not None and found.fails is not None
    assert found.holds == pytest.approx(35.6, rel=0.1)
    assert found.fails == pytest.approx(found.holds * 1.1, rel=0.001)
    verdicts = rates(found)
    assert all((verdict == "holds") == (rate <= found.holds) for rate, verdict in verdicts.items())
    assert min(verdicts) <= found.holds and len(verdicts) <= 8
    for step in found.steps:
        assert all(len(look.sent) >= 445 and look.length_s >= 0.4 / 0.1 - 1e-6 for look in step.looks)
    values = figures.figures(found, Costs(), None, 2.0)
    assert values["capacity/requests_per_second"] == found.holds
    assert values["capacity/pages_per_hour"] == pytest.approx(3600 * found.holds)
    assert values["capacity/usd_per_1000_pages"] == pytest.approx(2.0 / values["capacity/pages_per_hour"] * 1000)
    assert any(f"holds at {found.holds:g} requests/s, and not at {found.fails:g}/s" in note for note in notes(found))


def test_the_capacity_is_found_where_service_times_vary(search):
    """Four servers of 0.1 s on average, exponential: 32.9 requests a second (benchmarks/capacity_search.py)."""
    found = search(Queue(4, lambda draw: draw.expovariate(10)), "report.slo={latency/p95_s: 0.5}", "load.seed=1")
    assert found.outcome.ending == "found"
    assert found.holds == pytest.approx(32.9, rel=0.1)
    assert any(len(step.looks) > 1 for step in found.steps), "near the limit one look does not decide"


def test_an_endpoint_that_never_keeps_the_objective_is_not_loaded_for_it(search):
    queue = Queue(4, steady(0.5))
    found = search(queue, SLO)
    assert found.outcome.ending == "never" and not found.steps
    assert sum(map(len, queue.loads)) == PICTURES + 3, "the questions and the warm-up"
    values = figures.figures(found, Costs(), None, 2.0)
    assert values == {"capacity/steps": 0, "capacity/requests": 0}, "no number is passed off as the capacity"
    assert "none" in notes(found)[0]


def test_without_a_single_request_at_a_time_the_search_ends_where_requests_hardly_meet(search):
    found = search(Queue(8, steady(0.5)), SLO, "concurrency=8")
    assert found.outcome.ending == "alone" and found.holds is None
    assert found.steps[-1].judged.in_flight < 0.25
    values = figures.figures(found, Costs(), None, None)
    assert values["capacity/below_requests_per_second"] == found.fails == min(rates(found))
    assert "capacity/requests_per_second" not in values


def test_a_rate_for_which_the_pictures_are_too_few_is_a_bound(search):
    found = search(Queue(1000, steady(0.1)), SLO, "load.picture_repeats=10")
    assert found.outcome.ending == "ceiling"
    assert found.holds == pytest.approx(found.highest, rel=0.1) and found.highest == pytest.approx(600 * 0.1 / 0.4)
    values = figures.figures(found, Costs(), None, None)
    assert values["capacity/at_least_requests_per_second"] == found.holds
    assert "capacity/requests_per_second" not in values and "capacity/pages_per_hour" not in values
    assert "at least" in notes(found)[0] and "load.picture_repeats" in notes(found)[0]


def test_too_few_steps_leave_bounds(search):
    found = search(Queue(4, steady(0.1)), SLO, "load.steps=3")
    assert found.outcome.ending == "steps" and len(found.steps) == 3
    values = figures.figures(found, Costs(), None, None)
    assert values["capacity/at_least_requests_per_second"] < 35.6 < values["capacity/below_requests_per_second"]
    assert "capacity/requests_per_second" not in values


def test_a_queue_that_grows_does_not_hold_however_generous_the_objective(search):
    """One server of 0.1 s and a limit of 5 s: 11 a second is no capacity, though a short load would end in time."""
    found = search(Queue(1, steady(0.1)), "report.slo={latency/p95_s: 5}")
    assert found.outcome.ending == "found" and found.holds is not None
    assert 9 < found.holds < 10.6


def test_failures_are_not_in_time(search):
    queue = Queue(50, steady(0.05))
    queue.failing = 5
    found = search(queue, SLO, "concurrency=4")
    assert found.holds is None and found.outcome.ending in ("alone", "steps")
    assert found.steps[0].judged.share == pytest.approx(0.8, abs=0.06)


def test_no_capacity_is_told_where_a_limited_time_is_not_known(search):
    queue = Queue(4, steady(0.1))
    queue.streams = False
    found = search(queue, "report.slo={ttft/p95_s: 1}")
    assert found.outcome.ending == "unknown"
    assert "capacity: not known, since ttft/p95_s" in notes(found)[0]


def test_the_percentiles_of_several_limits_are_each_kept(search):
    """The tighter limit decides: half of the requests within 0.11 s, and not 99% within 0.8 s."""
    found = search(
        Queue(4, steady(0.1)),
        "report.slo={latency/p50_s: 0.11, latency/p99_s: 0.8}",
        "load.requests=300",
        "load.resolution=0.2",
    )
    assert found.outcome.ending == "found" and found.holds is not None and found.holds < 36
    assert {step.judged.worst for step in found.steps if step.judged.verdict == "fails"} == {"latency/p50_s"}


def test_a_stopped_search_asks_only_what_is_missing(search):
    few = (SLO, "load.steps=3", "load.requests=200")
    whole = search(Queue(4, steady(0.1)), *few, "sampling.seed=1")
    queue = Queue(4, steady(0.1))
    queue.breaks_in = PICTURES + 3 + 200 + 100
    with pytest.raises(Stopped):
        search(queue, *few)
    assert len(queue.loads[-1]) == 101, "it was stopped within its second look"
    queue.breaks_in, begun = None, len(queue.loads)
    found = search(queue, *few)
    looks = [look for step in found.steps for look in step.looks]
    again = [len(one) for one in queue.loads[begun:]]
    assert again[0] == 3, "a warm-up, since this process has asked nothing yet"
    assert again[1:] == [len(look.sent) for look in looks[1:]], "neither the questions nor the first look"
    assert rates(found) == rates(whole) and found.holds == whole.holds
    begun = len(queue.loads)
    assert rates(search(queue, *few)) == rates(found) and len(queue.loads) == begun, "all is in the store"
    assert len(search(queue, *few, "reuse=never").steps) and len(queue.loads) > begun


def test_no_picture_is_sent_twice_in_a_look_unless_asked_for(search):
    queue = Queue(1, steady(0.1))
    found = search(queue, "report.slo={latency/p50_s: 0.3}", "load.picture_repeats=1", "load.requests=60")
    loads = queue.loads[-len([look for step in found.steps for look in step.looks]) :]
    assert all(len(set(keys)) == len(keys) == PICTURES for keys in loads)
    assert len({tuple(keys) for keys in loads}) == len(loads), "each in an order of its own"


def test_a_provider_that_lets_us_in_no_more_ends_the_job(search, monkeypatch: pytest.MonkeyPatch):
    queue = Queue(4, steady(0.1))
    ask = QueueClient.ask

    async def refused(client: QueueClient, request: GenerationRequest) -> Generation:
        if len(queue.loads) > 2:
            return Generation(request.key, None, Failure("unauthorised", "no key"), timing=None)
        return await ask(client, request)

    monkeypatch.setattr(QueueClient, "ask", refused)
    with pytest.raises(JobFailed, match="does not let us in"):
        search(queue, SLO)


def notes(found: Found) -> list[str]:
    return list(figures.notes(found))


def test_pages_are_those_of_the_dataset_for_each_question(tmp_path: Path):
    """Three questions about one page and one about another: half a page for each question."""
    dataset = pictures(tmp_path, 2)
    extra = [f'{{"id": "{name}", "images": ["0.png"], "question": "{name}?"}}\n' for name in "ab"]
    dataset.write_text(dataset.read_text(encoding="utf-8") + "".join(extra), encoding="utf-8")
    job = planned(dataset, SLO)
    assert job.capacity is not None and job.capacity.pages_per_request == 0.5
    assert sorted(map(sorted, job.capacity.groups)) == [[0, 2, 3], [1]]
    chosen = job.capacity.chosen(4.0, 1, 8)
    first, second = chosen[:2], chosen[2:4]
    assert {number in (0, 2, 3) for number, _ in first} == {True, False}, "each picture once before one comes again"
    assert {number in (0, 2, 3) for number, _ in second} == {True, False}
    assert len(set(chosen)) == 8, "a question that comes again has another seed"


def test_times_of_a_look_are_random_and_its_rate_is_exact(tmp_path: Path):
    job = planned(pictures(tmp_path, 2), SLO)
    assert job.capacity is not None
    first, second = (list(job.capacity.arrivals(8.0, look, 400).due()) for look in (1, 2))
    assert first[-1] == second[-1] == 50.0 and len(first) == 401 and first[:-1] != second[:-1]
    gaps = [later - one for one, later in itertools.pairwise(first)]
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.25), "as between users who know nothing"
