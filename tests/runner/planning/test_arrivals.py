"""When the requests of an open load are due, and what is refused before anything is started."""

import itertools
import statistics
from pathlib import Path

import pytest

from runner.base.errors import Refused
from runner.config import Config
from runner.planning import arrivals


def config(kind: str, **load: object) -> Config:
    made = Config()
    made.load.arrivals = kind
    for name, value in load.items():
        setattr(made.load, name, value)
    return made


def table(folder: Path, text: str) -> str:
    path = folder / "arrivals.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def times(due: arrivals.Arrivals) -> list[float]:
    return list(itertools.islice(due.due(), due.count + 1))


def test_a_closed_load_has_no_times():
    assert arrivals.planned(config("closed"), 10) is None


def test_a_constant_rate_lasts_as_long_as_the_questions():
    due = arrivals.planned(config("constant", rate=4.0), 8)
    assert times(due) == [number / 4 for number in range(9)]
    assert (due.count, due.length_s(), due.settle_s) == (8, 2.0, pytest.approx(0.2))


def test_a_duration_sends_what_is_due_in_it():
    due = arrivals.planned(config("constant", rate=4.0, duration_s=1.5, settle_s=0.0), 100)
    assert due.count == 6 and due.settle_s == 0


def test_random_times_are_those_of_their_seed_and_keep_the_rate():
    one, same, other = (arrivals.planned(config("poisson", rate=5.0, seed=seed), 4000) for seed in (1, 1, 2))
    assert times(one) == times(same) != times(other)
    between = [later - earlier for earlier, later in itertools.pairwise(times(one))]
    assert statistics.fmean(between) == pytest.approx(0.2, rel=0.05)
    assert statistics.stdev(between) == pytest.approx(0.2, rel=0.1)  # of an exponential distribution: the mean


@pytest.mark.parametrize(
    "text",
    [
        "arrival_s\n10\n12\n11.5\n",
        "Timestamp;tokens\n2026-11-28 09:30:00;5\n2026-11-28 09:30:02.0000000;6\n2026-11-28T09:30:01.5;7\n",
    ],
)
def test_a_trace_is_read_from_its_first_time_on(tmp_path: Path, text: str):
    due = arrivals.planned(config("trace", path=table(tmp_path, text)), 3)
    assert times(due) == pytest.approx([0, 1.5, 2, 3])  # and over after one mean interval more


def test_a_trace_is_stretched_to_a_rate(tmp_path: Path):
    due = arrivals.planned(config("trace", path=table(tmp_path, "arrival_s\n0\n1\n4\n"), rate=1.0), 3)
    assert times(due) == pytest.approx([0, 0.5, 2, 3])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time,n\n1,2\n", "no column arrival_s or timestamp; there are: time, n"),
        ("arrival_s\n1\nsoon\n", "'soon' is no arrival time"),
        ("arrival_s\n1\nnan\n", "arrivals.csv:3"),
        ("arrival_s\n1\ninf\n", "'inf' is no arrival time"),
        ("arrival_s\n1\n", "two different arrival times"),
        ("arrival_s\n1\n1\n", "two different arrival times"),
        ("", "the file is empty"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, text: str, told: str):
    with pytest.raises(Refused, match=told):
        arrivals.planned(config("trace", path=table(tmp_path, text)), 3)


def test_no_question_is_sent_twice_unless_asked_for():
    with pytest.raises(Refused, match=r"60 requests are due, and there are 25 questions[^$]*sampling.repeats=3 "):
        arrivals.planned(config("constant", rate=2.0, duration_s=30.0), 25)


def test_more_repeats_than_there_may_be_are_not_recommended():
    with pytest.raises(Refused, match="30000 requests are due") as refused:
        arrivals.planned(config("constant", rate=1000.0, duration_s=30.0), 2)
    assert "sampling.repeats" not in str(refused.value) and "a shorter load.duration_s" in str(refused.value)


def test_a_table_is_read_once_for_all_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = config("trace", path=table(tmp_path, "arrival_s\n0\n1\n2\n5\n"))
    first = arrivals.planned(asked, 4)
    monkeypatch.setattr(arrivals, "read_csv", lambda *_: pytest.fail("it was read again"))
    again = arrivals.planned(asked, 4)
    assert first is not None and again is not None and times(again) == times(first)


def test_a_load_that_never_settles_is_refused():
    with pytest.raises(Refused, match="all 4 requests are due in the first 5 s"):
        arrivals.planned(config("constant", rate=2.0, settle_s=5.0), 4)


def test_conditions_name_what_decides_the_times(tmp_path: Path):
    said = arrivals.described(config("poisson", rate=2.0, seed=3).load)
    assert said == "poisson rate=2.0 seed=3 max_in_flight=256"
    first = config("trace", path=table(tmp_path, "arrival_s\n0\n1\n")).load
    one, before = arrivals.described(first), first.path
    table(tmp_path, "arrival_s\n0\n2\n")
    assert first.path == before and arrivals.described(first) != one, "the table's content counts, not its name"
