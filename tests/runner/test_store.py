"""The store: what is found again, what is not, and what a torn file loses."""

import os
from pathlib import Path

import pytest

from backends.api import EngineSpec, Failure, Generation, Timing
from runner.store import Shelf, digest, from_json, to_json

HERE = {"gpu": "none", "concurrency": "1"}
ELSEWHERE = {"gpu": "H200", "concurrency": "1"}


def generation(key: str, text: str = "Петров") -> Generation:
    timing = Timing(sent_at=1.0, latency_s=0.5, ttft_s=0.1)
    return Generation(key, text, None, timing=timing, token_ids=(1, 2), prompt_tokens=70, completion_tokens=2)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "store" / "shelf.jsonl")


def test_round_trip_keeps_every_field():
    failed = Generation("k", None, Failure("timeout", "after 3 s", retryable=True), attempts=3)
    for one in (generation("k"), failed):
        assert from_json(to_json(one)) == one


def test_found_under_its_conditions_only(shelf: Shelf):
    shelf.append("a", HERE, generation("a"))
    assert shelf.find("a", HERE) == generation("a")
    assert shelf.find("a", ELSEWHERE) is None
    assert shelf.find("a", None) == generation("a"), "answers may be reused under any conditions"
    assert shelf.find("b", None) is None


def test_survives_reopening_and_newest_wins(shelf: Shelf):
    shelf.append("a", HERE, generation("a", "first"))
    shelf.append("a", ELSEWHERE, generation("a", "elsewhere"))
    shelf.append("a", HERE, generation("a", "second"))
    again = Shelf(shelf.path)
    assert again.find("a", HERE).text == "second"
    assert again.find("a", ELSEWHERE).text == "elsewhere"
    assert again.find("a", None).text == "second"


def test_torn_last_line_is_skipped_and_ended(shelf: Shelf, caplog: pytest.LogCaptureFixture):
    shelf.append("a", HERE, generation("a"))
    shelf.append("b", HERE, generation("b"))
    os.truncate(shelf.path, shelf.path.stat().st_size - 20)
    again = Shelf(shelf.path)
    assert "1 unreadable" in caplog.text
    assert again.find("a", HERE) and again.find("b", HERE) is None
    again.append("c", HERE, generation("c"))
    assert Shelf(shelf.path).find("c", HERE) == generation("c")


def test_two_writers_do_not_harm_each_other(shelf: Shelf):
    other = Shelf(shelf.path)
    for number in range(50):
        shelf.append(f"a{number}", HERE, generation(f"a{number}"))
        other.append(f"b{number}", HERE, generation(f"b{number}"))
    for writer, letter in ((shelf, "a"), (other, "b")):
        assert all(writer.find(f"{letter}{n}", HERE) == generation(f"{letter}{n}") for n in range(50))
    again = Shelf(shelf.path)
    assert all(again.find(f"{letter}{n}", HERE) for letter in "ab" for n in range(50))


def test_measurements_belong_to_job_and_conditions(shelf: Shelf):
    shelf.append_measured("job", HERE, {"wall_s": 2.0})
    again = Shelf(shelf.path)
    assert again.measured("job", HERE) == {"wall_s": 2.0}
    assert again.measured("job", ELSEWHERE) is None
    assert again.measured("other", HERE) is None


def test_shelves_are_told_apart_by_content_and_quantisation(tmp_path: Path):
    def path(**changes: str) -> Path:
        return Shelf.of(tmp_path, EngineSpec("hf", "folder", **{"digest": "d", "quant": "bf16"} | changes)).path

    assert path() == path()
    assert len({path(), path(digest="e"), path(quant="w8a8"), path(weights="dummy")}) == 4


def test_nothing_is_written_before_something_is_appended(tmp_path: Path):
    Shelf(tmp_path / "store" / "x.jsonl").close()
    assert list(tmp_path.iterdir()) == []


def test_digest_does_not_depend_on_order():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
