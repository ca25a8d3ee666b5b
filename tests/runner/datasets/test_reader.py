"""Readers of third parties: found by name, checked like the built-in ones, named where they fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import registries
from runner.base.errors import Problem
from runner.datasets import DatasetConfig, Image, Row, Sample, open_dataset, reader
from tests.runner.datasets.bad_input import has, refusal


def read_broken(config: DatasetConfig, path: Path) -> Iterator[Row]:
    yield Row("a:1", "1", "1", ("1.jpg",), "Кто?")
    raise KeyError("answer")


def read_problem(config: DatasetConfig, path: Path) -> Iterator[Row | Problem]:
    yield Row("a:1", "1", "1", ("../1.jpg",), "Кто?")
    yield Problem("is strange", "a:2")


def read_samples(config: DatasetConfig, path: Path) -> Iterator[Sample]:
    yield Sample("1", "1", (Image(path / "1.pdf", 2),), "Кто?", doc_class="act")
    yield Sample("2", "1", (), "Кто?", doc_class="contract")


def read_nonsense(config: DatasetConfig, path: Path) -> Iterator[Any]:
    yield {"id": 1}


@pytest.fixture
def third_party_reader(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(function: Any) -> None:
        module = ModuleType("acme_receipts")
        module.read = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "acme_receipts", module)
        names = ("receipts", "jsonl")  # the second is a built-in format's
        offered = [EntryPoint(name, "acme_receipts:read", reader.GROUP) for name in names]
        monkeypatch.setattr(registries, "offered", lambda _: offered)

    return install


def test_a_third_partys_rows_and_samples_are_checked_alike(third_party_reader: Any, tmp_path: Path) -> None:
    (tmp_path / "1.pdf").touch()
    third_party_reader(read_problem)
    has(refusal(format="receipts", path=str(tmp_path)), "a:1: image '../1.jpg' lies outside", "a:2: is strange")
    third_party_reader(read_samples)
    first, second = open_dataset(DatasetConfig(format="receipts", path=str(tmp_path)))
    assert first.images == (Image(tmp_path / "1.pdf", 2),)
    assert second.images == ()
    (act,) = open_dataset(DatasetConfig(format="receipts", path=str(tmp_path), doc_class="act"))
    assert act == first


def test_a_third_partys_reader_that_fails(third_party_reader: Any, tmp_path: Path) -> None:
    third_party_reader(read_broken)
    has(refusal(format="receipts", path=str(tmp_path)), "the reader of format 'receipts' failed: KeyError: 'answer'")
    third_party_reader(read_nonsense)
    has(refusal(format="receipts", path=str(tmp_path)), "yielded {'id': 1}, not a Row, Sample or Problem")
    has(refusal(format="other", path=str(tmp_path)), "unknown dataset format 'other'", "receipts")
    taken = "two dataset formats are called 'jsonl': runner.datasets.jsonl:read (built in) and acme_receipts:read"
    has(refusal(format="jsonl", path=str(tmp_path)), taken)
