"""Broken tables of `page` and boxes of `grounding` that can't be are told of before an engine starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from PIL import Image

from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning import opened
from runner.planning.plan import plan
from tests.runner.planning.reference_rows import write_rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory with a picture of 200 x 100 pixels."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 100)).save(tmp_path / "1.png")
    return tmp_path


def refused(folder: Path, metric: str, references: list[str], *more: str) -> list[tuple[str, str]]:
    """Return where and what of the problems that planning finds in rows with these references."""
    write_rows(folder, references)
    config.register()
    opened.forget()
    asked = ["tracking=none", "dataset=jsonl", "dataset.path=rows.jsonl", f"metrics=[{metric}]", *more]
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())), pytest.raises(Refused) as raised:
        plan(compose("config", asked))
    assert all("-> correct the reference" in str(problem) for problem in raised.value.problems)
    return [(problem.where, problem.what) for problem in raised.value.problems]


def test_a_table_that_is_not_closed_is_refused_with_file_and_row(folder: Path):
    references = ["# Текст", "<table><tr><td>а</td></tr>", "—"]
    assert refused(folder, "page", references) == [("rows.jsonl:2", "table 1: <table> is not closed")]


def test_a_table_without_cells_is_refused_with_file_and_row(folder: Path):
    references = ["# Текст", "до <table><tr></tr></table> после"]
    assert refused(folder, "page", references) == [("rows.jsonl:2", "a table has no cells")]


def test_a_reference_that_is_no_layout_is_refused_with_file_and_row(folder: Path):
    good = json.dumps([{"bbox": [0, 0, 9, 9], "text": "<table><tr><td>а</td></tr></table>"}])
    broken = json.dumps([{"bbox": [0, 0, 9, 9], "text": "<table><tr><td>а</td></tr>"}])
    references = [good, "# Текст", broken, '[{"text": "а"}, {"text": 5}]', good[:-1]]
    found = refused(folder, "page", references, "metrics.page.reference_adapters=[layout_json]")
    assert [(where, what[:55]) for where, what in found] == [
        ("rows.jsonl:2", "layout_json: no JSON list of blocks: Expecting value: l"),
        ("rows.jsonl:3", "table 1: <table> is not closed"),
        ("rows.jsonl:4", "layout_json: block 2: its text is no text"),
        ("rows.jsonl:5", "layout_json: no JSON list of blocks: Expecting ',' deli"),
    ]


def test_boxes_that_can_not_be_are_refused_with_file_and_row(folder: Path):
    references = ["[0, 0, 50, 50]", "[50, 50, 0, 0]", "[0, 0, 500, 50]", "внизу", "[300, 0, 400, 50]"]
    assert refused(folder, "grounding", references) == [
        ("rows.jsonl:2", "box [50, 50, 0, 0]: its corners are swapped: left, top, right, bottom are wanted"),
        ("rows.jsonl:3", "box [0, 0, 500, 50]: it goes beyond the page"),
        ("rows.jsonl:4", "no box in it"),
        ("rows.jsonl:5", "box [300, 0, 400, 50]: it is outside the page"),
    ]
