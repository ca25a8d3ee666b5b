"""An outside tool beside a sweep, as docs/comparing.md has it, with tracking on: one table, one comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from runner.jobs.folder import JobFolder
from runner.report import trust
from runner.report.loading import build, settings_of
from tests.conftest import CommandLine

QUESTIONS = ("Напиши Фамилия", "Напиши Имя")
DATASET = ("dataset=jsonl", "dataset.path=rows.jsonl")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, make_cli: Callable[[Path], CommandLine]) -> CommandLine:
    """A folder with pictures, questions and a sweep of two candidates, whose answers are the questions."""
    cli = make_cli(tmp_path_factory.mktemp("outside"))
    lines = []
    for number in range(1, 4):
        Image.new("RGB", (56, 56), (number, 0, 0)).save(cli.folder / f"scan_{number}.png")
        for question in QUESTIONS:
            reference = question if number == 1 else f"{question} {number}"
            line = {"id": f"q{len(lines)}", "document": f"d{number}", "images": [f"scan_{number}.png"]}
            lines.append(line | {"question": question, "references": [reference]})
    (cli.folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ended = cli("-m", "model=demo_s,demo_m", "backend.name=echo", *DATASET, "hydra.sweep.dir=sweep")
    assert ended.code == 0, ended.out + ended.err
    return cli


def table(cli: CommandLine, name: str, *rows: str) -> str:
    (cli.folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return f"answers={name}"


def scored(cli: CommandLine, folder: str, *arguments: str) -> tuple[str, Path]:
    ended = cli("stage=score", *arguments, f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.out + ended.err
    return ended.out + ended.err, cli.folder / folder


def comparisons(cli: CommandLine, folder: str) -> int:
    """How many tables of candidates the report of the sweep and this folder has."""
    results = [*JobFolder.below(cli.folder / "sweep"), *JobFolder.below(cli.folder / folder)]
    assert len(results) == 3
    return len(build(results, settings_of(results), "", cli.folder).comparisons)


def test_a_product_stands_in_one_table_with_the_sweep(swept: CommandLine):
    rows = [f"scan_{n}.png;{q};{q} {n};0.5" for n in (1, 2, 3) for q in QUESTIONS if (n, q) != (3, QUESTIONS[1])]
    answers = table(swept, "product.csv", "Image;question;candidate;Time Taken (sec)", *rows, "scan_9.png;Что?;x;1")
    said, folder = scored(swept, "product", answers, *DATASET, "model.name=ScanPro")
    assert "1 rows belong to no sample of jsonl and are left out: 'scan_9.png: Что?'" in said
    assert "1 of 6 samples have no answer and count as failed: 'q5'" in said
    assert "no reference" not in said, "the dataset has them"
    record = json.loads((folder / "metrics.json").read_text())
    assert record["name"] == "ScanPro" and record["metrics"]["samples/failed"] == 1
    assert record["metrics"]["quality/exact_match"] == 3 / 5, "right on scans 2 and 3; the first has no number"
    assert (folder / "run_id").exists(), "tracked"
    jobs = [path.parent for path in (swept.folder / "sweep").glob("*/environment.json")]
    digests = {json.loads((job / "environment.json").read_text())["dataset_digest"] for job in [*jobs, folder]}
    assert len(jobs) == 2 and len(digests) == 1 and None not in digests
    assert "licence: unknown" in (folder / "config.yaml").read_text(), "not that of a demo model"

    ended = swept("sweep", "product", "--out", "both.html", module="runner.report")
    assert ended.code == 0, ended.err
    assert comparisons(swept, "product") == 1
    page = (swept.folder / "both.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("demo_s", "demo_m", "ScanPro"))

    ended = swept("sweep", "product", "--baseline", "ScanPro", "--measure", "exact_match", module="runner.compare")
    assert ended.code == 0, ended.err
    verdicts = [line for line in ended.out.splitlines() if "ScanPro" in line and "documents" in line]
    assert len(verdicts) == 2, "each candidate of the sweep against the product"


def test_texts_of_whole_pages_are_compared_with_answers_to_fields(swept: CommandLine):
    rows = [f"scan_{n}.png;Паспорт {' '.join(f'{q} {n}' for q in QUESTIONS)}" for n in (1, 2, 3)]
    answers = table(swept, "pages.csv", "Image;candidate", *rows)
    said, folder = scored(swept, "pages", answers, *DATASET, "metrics=[found,exact_match]")
    assert "3 rows name no question: the text of each stands for every question about its document" in said
    metrics = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert metrics["samples/total"] == 6 and metrics["samples/failed"] == 0
    assert metrics["quality/found"] == 1 and metrics["quality/exact_match"] == 0
    results = [*JobFolder.below(swept.folder / "sweep"), *JobFolder.below(folder)]
    (compared,) = build(results, settings_of(results), "", swept.folder).comparisons
    told = [one.candidate.label for one in trust.warnings(compared) if one.candidate and "whole page" in one.text]
    assert len(told) == 1 and "pages" in told[0]


def test_without_a_dataset_they_stay_apart(swept: CommandLine):
    answers = table(swept, "apart.csv", "Image;question;candidate;reference", "scan_1.png;Что?;x;x")
    _, folder = scored(swept, "apart", answers, "metrics=[exact_match]")
    assert json.loads((folder / "environment.json").read_text())["dataset_digest"] is None
    assert comparisons(swept, "apart") == 2


def test_the_wrong_dataset_is_refused_with_what_both_call_things(swept: CommandLine):
    answers = table(swept, "wrong.csv", "Image;question;candidate", "invoice_7.png;Сумма?;x")
    ended = swept("stage=score", answers, *DATASET, "hydra.run.dir=wrong")
    assert ended.code == 2
    assert "no row belongs to a sample of jsonl" in ended.err
    assert "'invoice_7.png'" in ended.err and "scan_1.png" in ended.err
    assert not (swept.folder / "wrong").exists()
