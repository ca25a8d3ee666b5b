"""What holds for every format: the digest of a dataset, and where a relative path starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.datasets import DatasetConfig, open_dataset


def opened_digest(folder: Path, **changed: object) -> str:
    folder.mkdir()
    (folder / "1.png").touch()
    row = {"id": 1, "images": ["1.png"], "question": "Кто?", "references": ["Я"]} | changed
    (folder / "rows.jsonl").write_text(json.dumps(row), "utf-8")
    return open_dataset(DatasetConfig(format="jsonl", path=str(folder / "rows.jsonl"))).digest()


def test_the_digest_names_rows_and_not_their_place(tmp_path: Path) -> None:
    digest = opened_digest(tmp_path / "a")
    assert opened_digest(tmp_path / "b") == digest
    assert opened_digest(tmp_path / "c", references=["Ты"]) != digest
    assert opened_digest(tmp_path / "d", question="Где?") != digest


def test_relative_paths_start_at_the_working_directory_then_at_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here/data/1.png", "root/data/1.png", "root/data/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    config = DatasetConfig(format="images", path="data")
    monkeypatch.chdir(tmp_path)
    assert len(open_dataset(config, tmp_path / "root")) == 2
    monkeypatch.chdir(tmp_path / "here")
    assert len(open_dataset(config, tmp_path / "root")) == 1
