"""Replicas that answer one job together."""

import pytest

from backends.api import Endpoint, EngineSpec, EngineStats, Failure, Mark
from backends.fleet import Fleet, together


class Member:
    def __init__(self, name: str, stats: EngineStats | None = None, load_s: float | None = 1.0) -> None:
        self.spec = EngineSpec("fake", "a")
        self.endpoint = Endpoint(f"http://{name}", "model")
        self.load_s, self.log_path, self.dead, self.name = load_s, None, False, name
        self.stats = stats or EngineStats()
        self.marked: list[Mark] = []

    def alive(self) -> bool:
        return not self.dead

    def crash_report(self) -> Failure:
        return Failure("engine_died", f"{self.name} died")

    def mark(self) -> Mark:
        return Mark(0.0, {"name": self.name})

    def since(self, mark: Mark) -> EngineStats:
        self.marked.append(mark)
        return self.stats

    def close(self) -> None:
        raise AssertionError("a fleet closes nothing")


def test_looks_like_one_engine():
    one, two = Member("one", load_s=2.0), Member("two", load_s=3.0)
    fleet = Fleet([one, two])
    assert [endpoint.url for endpoint in fleet.endpoints] == ["http://one", "http://two"]
    assert fleet.load_s == 3.0 and fleet.alive() and fleet.log_paths == ()
    fleet.since(fleet.mark())
    assert one.marked[0].state["name"] == "one" and two.marked[0].state["name"] == "two"
    two.dead = True
    assert not fleet.alive() and fleet.crash_report().message == "two died"


def test_refuses_engines_that_would_answer_differently():
    other = Member("two")
    other.spec = EngineSpec("fake", "b")
    with pytest.raises(ValueError, match="one spec"):
        Fleet([Member("one"), other])
    with pytest.raises(ValueError, match="one engine or more"):
        Fleet([])


def test_memory_and_energy_add_up_and_the_unknown_stays_unknown():
    one = EngineStats(gpu_peak_gib=4.0, energy_joules=10.0, prefix_hit_rate=0.2, cpu_peak_gib=1.0, notes=("a",))
    two = EngineStats(gpu_peak_gib=5.0, energy_joules=20.0, prefix_hit_rate=0.4, notes=("a", "b"))
    both = together([one, two])
    assert (both.gpu_peak_gib, both.energy_joules, both.cpu_peak_gib) == (9.0, 30.0, None)
    assert both.prefix_hit_rate == pytest.approx(0.3)
    assert both.notes[:2] == ("a", "b") and "2 replicas" in both.notes[2]
    assert together([one]) is one
