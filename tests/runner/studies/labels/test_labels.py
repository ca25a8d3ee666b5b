"""Labels of people: as references of a dataset that needs no new answers, and as a check of a measure."""

import csv
import datetime
import json
from pathlib import Path

import pytest
from openpyxl import Workbook

from runner import commands
from runner.base.errors import Refused
from runner.studies.labels.table import read
from tests.conftest import CommandLine
from tests.runner.studies.compare.test_compare import job

ECHO = ("backend.name=echo", "dataset.limit=8", "metrics=[exact_match,cer]", "tracking=none")


def labelled(path: Path, *rows: dict[str, str]) -> Path:
    names = ["sample_id", "repeat", "candidate", "human_reference", "human_score"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, names, delimiter=";", restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_references_of_people_score_stored_answers_without_asking_again(cli: CommandLine):
    asked = cli.folder / "asked"
    record = f"+backend.engine_args.record={asked}"
    assert cli("-m", *ECHO, "model=demo_s,demo_m", record, "warmup=0").code == 0
    assert len(asked.read_text().splitlines()) == 16
    ended = cli("multirun", "--to", "out", module="runner.export")
    assert ended.code == 0, ended.err
    path = cli.folder / "out" / "disagreements.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert len(rows) == 16, "the echo never agrees with the reference"
    for row in rows:
        row["human_reference"] = row["question"] if row["candidate"].startswith("demo_s") else ""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    ended = cli("references", str(path), "multirun", "--to", "labelled.jsonl", module="runner.labels")
    assert ended.code == 0, ended.err
    assert "8 samples, 8 with a reference from people" in ended.out
    use = ended.out.split("use it:")[1].split()
    ended = cli("backend.name=echo", "metrics=[exact_match]", "tracking=none", record, "warmup=0", *use)
    assert ended.code == 0, ended.err
    assert len(asked.read_text().splitlines()) == 16, "every answer came from the store"
    (found,) = [json.loads(file.read_text()) for file in cli.folder.glob("outputs/*/*/metrics.json")]
    assert found["metrics"]["quality/exact_match"] == 1.0 and found["metrics"]["samples/reused"] == 8


def test_how_well_a_measure_agrees_with_people(tmp_path: Path, capsys):
    values = {str(number): float(number % 3 > 0) for number in range(30)}
    job(tmp_path / "sweep" / "a", "base", values)
    rows = [
        {"sample_id": name, "candidate": "base", "human_score": "yes" if (value > 0) != (name == "4") else "no"}
        for name, value in values.items()
    ]
    file = labelled(tmp_path / "labels.csv", *rows)
    assert commands.run("labels", ["agreement", str(file), str(tmp_path / "sweep")]) == 0
    out = capsys.readouterr().out
    assert "exact_match against people, 30 answers on 30 documents" in out
    assert "equal 96.7%" in out and "kappa 0.927 [" in out
    assert "  4 base: people 0, exact_match 1: 'Напиши Фамилия' -> 'Петров'" in out


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"sample_id": "1", "candidate": "base"}], "nothing is filled in"),
        (
            [{"sample_id": "1", "candidate": "base", "human_score": "good"}],
            "labels.csv:2: human_score 'good' is no number",
        ),
        ([{"sample_id": "1", "human_score": "1"}], "human_score without a candidate"),
        ([{"sample_id": "1", "candidate": "nobody", "human_score": "1"}], "these are: base"),
        ([{"sample_id": "99", "candidate": "base", "human_score": "1"}], "1 labels belong to no answer of these jobs"),
        (
            [{"sample_id": "1", "human_reference": "a"}, {"sample_id": "1", "human_reference": "b"}],
            "labels.csv:3: sample 1 has two references: a and b",
        ),
    ],
)
def test_bad_labels(tmp_path: Path, capsys, rows, said):
    job(tmp_path / "a", "base", {"1": 1.0, "2": 0.0})
    assert (
        commands.run("labels", ["agreement", str(labelled(tmp_path / "labels.csv", *rows)), str(tmp_path / "a")]) == 2
    )
    assert said in capsys.readouterr().err


def test_labels_that_a_workbook_has_changed_are_refused_by_cell(tmp_path: Path):
    book = Workbook()
    book.active.append(["sample_id", "repeat", "candidate", "human_reference", "human_score"])
    book.active.append([1, 0, "base", datetime.date(2010, 9, 28), None])
    book.active.append([2, 0, "base", 40817810099910004312, "0,5"])
    book.save(tmp_path / "labels.xlsx")
    with pytest.raises(Refused) as refused:
        read(tmp_path / "labels.xlsx")
    assert "row 2: column human_reference (D2) holds 2010-09-28 as a date" in str(refused.value)
    assert "row 3: column human_reference (D3)" in str(refused.value)
    book.active["D2"], book.active["D3"] = "28.09.2010", "40817810099910004312"
    book.save(tmp_path / "labels.xlsx")
    found = read(tmp_path / "labels.xlsx")
    assert found.references == {"1": ("28.09.2010",), "2": ("40817810099910004312",)}
    assert found.scores == {("2", 0, "base"): 0.5}


def test_labels_come_from_a_workbook_too_and_lose_their_apostrophe(tmp_path: Path):
    book = Workbook()
    book.active.append(["sample_id", "repeat", "candidate", "human_reference", "human_score"])
    book.active.append([7, 0, "base", "'-5", 0.5])
    book.save(tmp_path / "labels.xlsx")
    found = read(tmp_path / "labels.xlsx")
    assert found.references == {"7": ("-5",)} and found.scores == {("7", 0, "base"): 0.5}


def test_a_file_that_is_not_there_is_no_matter_of_the_dataset(tmp_path: Path):
    with pytest.raises(Refused) as caught:
        read(tmp_path / "nothing.csv")
    said = str(caught.value)
    assert "nothing.csv: is not a file" in said and "python -m runner.export" in said and "dataset.path" not in said
