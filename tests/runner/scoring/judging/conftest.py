"""Tables of answers and endpoints for the tests of judges."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CommandLine
from tests.runner.scoring.judging.scripted_judge import Reply, ScriptedJudge


@pytest.fixture
def scripted() -> Iterator[Callable[[Callable[[dict[str, Any], int], Reply | str]], ScriptedJudge]]:
    """Start endpoints by their script; all are ended with the test."""
    started: list[ScriptedJudge] = []

    def start(script: Callable[[dict[str, Any], int], Reply | str]) -> ScriptedJudge:
        started.append(ScriptedJudge(script).__enter__())
        return started[-1]

    yield start
    for one in started:
        one.__exit__()


def table(cli: CommandLine, answers: Sequence[str], **columns: Sequence[str]) -> Path:
    """Write a table of one model's answers, each about a picture of its own, with a reference."""
    path = cli.folder / "answers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Image", "candidate", "reference", *columns])
        for number, answer in enumerate(answers):
            writer.writerow([f"picture {number}", answer, "truth", *(values[number] for values in columns.values())])
    return path


def rows(cli: CommandLine, answers: Sequence[str]) -> Path:
    """Write a JSONL dataset whose questions the echo engine repeats as answers."""
    from PIL import Image

    Image.new("RGB", (300, 200), (200, 10, 10)).save(cli.folder / "page.png")
    path = cli.folder / "rows.jsonl"
    lines = [
        {"id": str(n), "document": f"d{n}", "images": ["page.png"], "question": text, "references": ["truth"]}
        for n, text in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def verdicts(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The verdicts of a job by sample."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (folder / "verdicts.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["sample_id"], []).append(row)
    return found


def job(cli: CommandLine) -> Path:
    """The newest job's folder."""
    found = [*cli.folder.glob("outputs/**/metrics.json"), *cli.folder.glob("multirun/**/metrics.json")]
    return max(found, key=lambda path: path.stat().st_mtime).parent


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
