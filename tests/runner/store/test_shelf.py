"""The store: what is found again, what is not, and what a torn file loses."""

import json
import os
import resource
import time
from pathlib import Path

import pytest

from backends.api import EngineSpec, Failure, Generation, Timing
from runner import store
from runner.store import Shelf, digest, from_json, to_json
from tests.patience import patient

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


@pytest.mark.parametrize("left", [1, 20, 300])
def test_a_torn_last_line_is_cut_off(shelf: Shelf, caplog: pytest.LogCaptureFixture, left: int):
    shelf.append("a", HERE, generation("a"))
    whole = shelf.path.stat().st_size
    shelf.append("b", HERE, generation("b", "x" * 200_000))
    shelf.close()
    os.truncate(shelf.path, whole + left)
    again = Shelf(shelf.path)
    assert again.find("a", HERE) and again.find("b", HERE) is None
    again.append("c", HERE, generation("c"))
    assert "cut off" in caplog.text
    assert len(shelf.path.read_bytes().splitlines()) == 2, "nothing of it is left"
    caplog.clear()
    third = Shelf(shelf.path)
    assert third.find("c", HERE) == generation("c") and third.find("a", HERE) == generation("a")
    assert caplog.text == ""


def test_a_last_line_that_lacks_only_its_end_is_kept(shelf: Shelf):
    shelf.append("a", HERE, generation("a"))
    shelf.close()
    os.truncate(shelf.path, shelf.path.stat().st_size - 1)
    Shelf(shelf.path).append("b", HERE, generation("b"))
    again = Shelf(shelf.path)
    assert again.find("a", HERE) == generation("a") and again.find("b", HERE) == generation("b")


def test_a_changed_byte_is_seen_and_its_answer_not_used(shelf: Shelf, caplog: pytest.LogCaptureFixture):
    shelf.append("a", HERE, generation("a"))
    shelf.append("b", HERE, generation("b", "Сидоров"))
    shelf.close()
    content = shelf.path.read_bytes()
    shelf.path.write_bytes(content.replace("Сидоров".encode(), "Сидорев".encode()))
    again = Shelf(shelf.path)
    assert "1 unreadable" in caplog.text
    assert again.find("a", HERE) and again.find("b", HERE) is None, "it would be scored as if it were an answer"


def test_lines_of_earlier_versions_are_read(shelf: Shelf):
    old = {"key": "a", "conditions": HERE, "generation": to_json(generation("a"))}
    shelf.path.parent.mkdir(parents=True)
    shelf.path.write_text(json.dumps(old, ensure_ascii=False) + "\n", encoding="utf-8")
    assert Shelf(shelf.path).find("a", HERE) == generation("a")


def test_it_reaches_the_disk_within_a_second_and_at_the_end(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        real(file)

    monkeypatch.setattr("runner.store.shelf.os.fsync", fsync)
    shelf.append("a", HERE, generation("a"))
    first = shelf.path.stat().st_size
    deadline = time.monotonic() + patient(5)
    while first not in synced:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shelf.append("b", HERE, generation("b"))
    shelf.close()
    assert synced[-1] == shelf.path.stat().st_size > first


def test_a_disk_that_fails_in_the_background_is_told_of(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    def fsync(_file: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("runner.store.shelf.os.fsync", fsync)
    monkeypatch.setattr("runner.store.shelf.SYNC_S", 0.05)
    shelf.append("a", HERE, generation("a"))
    time.sleep(0.3)
    with pytest.raises(OSError, match=r"Input/output error.*RUNNER_STORE"):
        shelf.append("b", HERE, generation("b"))
    with pytest.raises(OSError, match="Input/output error"):
        shelf.close()


def test_a_line_that_does_not_fit_is_taken_back(shelf: Shelf):
    """A limit on the size of files refuses a write half-way, as a full disk does."""
    shelf.append("a", HERE, generation("a"))
    size = shelf.path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5000, hard))
    try:
        with pytest.raises(OSError, match="can't be written: File too large"):
            shelf.append("b", HERE, generation("b", "x" * 100_000))
        assert shelf.path.stat().st_size == size, "the half of it that fitted is gone again"
        shelf.append("c", HERE, generation("c"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = Shelf(shelf.path)
    assert again.find("a", HERE) and again.find("c", HERE) and again.find("b", HERE) is None


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


def test_a_digest_of_parts_is_that_of_the_whole():
    """Keys of earlier versions were made in one piece: another form would ask everything again."""
    messages = [["user", ["text", 'Кто? " \\ \u2028']]]
    parts = [{"b": 1, "a": ["ё", 0.1, None, True]}, messages, {"seed": None, "top_p": 1.0}]
    together = ", ".join(map(store.as_json, parts))
    assert store.digest_of_json(f"[{together}]") == store.digest(parts)
    assert store.digest(parts) == "716d6c476df0deb02ee1391b1ba022f981f30993200acdf15f635b61862d7728"
