"""References of `page` with broken tables are told of before an engine starts."""

from __future__ import annotations

import json

import pytest
from hydra import compose, initialize_config_dir

from runner import config
from runner.base import paths
from runner.base.errors import Refused
from runner.planning import opened
from runner.planning.plan import plan


def test_a_table_that_is_not_closed_is_refused_with_file_and_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = next((paths.root() / "data/demo_documents").rglob("*.png"))
    (tmp_path / "1.png").write_bytes(picture.read_bytes())
    references = ["# Текст", "<table><tr><td>а</td></tr>", "—"]
    rows = [
        {"id": f"a{number}", "images": ["1.png"], "question": "Что?", "references": [reference]}
        for number, reference in enumerate(references)
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
    config.register()
    opened.forget()
    asked = ["tracking=none", "dataset=jsonl", "dataset.path=rows.jsonl", "metrics=[page]"]
    with initialize_config_dir(version_base="1.3", config_dir=str(paths.conf_dir())), pytest.raises(Refused) as refused:
        plan(compose("config", asked))
    (problem,) = refused.value.problems
    assert (problem.where, problem.what) == ("rows.jsonl:2", "table 1: <table> is not closed")
    assert "correct the reference" in str(problem)
