"""Exports: the seeds' workbooks come out as they went in, and no answer harms a spreadsheet."""

import csv
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from openpyxl import load_workbook

from runner import commands
from runner.studies.export.cells import LONGEST, fitted
from tests.runner.job_folders import job_folder

HARMFUL = [
    "=cmd|' /C calc'!A0", "+1+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "<script>alert(1)</script>", "</script>",
    'he said "no"; "yes"\nand more', "a\x00b\x1bc\x0b", "\ud800 half a pair", "x" * 100_000, "😀" * 20_000, "",
    "Петров",
]  # fmt: skip


def with_answers(folder: Path, *texts: str | None, **scores: float) -> Path:
    """A job with these answers, None for a failed one, each with these scores."""
    job_folder(folder, "metrics=[]")
    row = json.loads((folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()[0])
    failed = {"text": None, "error": {"kind": "timeout", "message": "after 3 s"}, "timing": None}
    rows = [
        row | {"sample_id": str(number), **({"text": text} if text is not None else failed)}
        for number, text in enumerate(texts)
    ]
    made = [
        {"sample_id": row["sample_id"], "repeat": 0, "name": name, "value": value, "stats": [value, 1.0], "reason": ""}
        for row in rows
        for name, value in scores.items()
    ]
    for file, lines in (("answers.jsonl", rows), ("scores.jsonl", made)):
        (folder / file).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def table(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1_000_000)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    with_answers(folder / "sweep" / "a", *HARMFUL, None, rouge1=0.5)
    with_answers(folder / "sweep" / "b", *HARMFUL[::-1], "Петров")
    assert commands.run("export", [str(folder / "sweep"), "--to", str(folder / "out")]) == 0
    return folder / "out"


def test_what_an_export_leaves(exported: Path):
    assert {path.name for path in exported.iterdir()} == {
        "summary_test_stats.xlsx", "auto_metrics_stats.xlsx", "metrics_by_id.csv", "metrics_by_field.csv",
        "metrics_by_class.csv", "metrics_general.csv", "answers.jsonl", "disagreements.csv",
    }  # fmt: skip
    rows = [json.loads(line) for line in (exported / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows[: len(HARMFUL)]] == HARMFUL, "the JSON lines have every answer whole"
    assert rows[0]["scores"] == {"rouge1": 0.5} and rows[0]["job"].startswith("demo_m-bf16 (")


@pytest.mark.parametrize("name", ["summary_test_stats.xlsx", "auto_metrics_stats.xlsx"])
def test_no_answer_harms_a_workbook(exported: Path, name: str):
    sheet = load_workbook(exported / name)["Sheet1"]
    header = [cell.value for cell in sheet[1]]
    answers = [row[header.index("candidate")] for row in sheet.iter_rows(min_row=2)]
    assert len(answers) == 2 * (len(HARMFUL) + 1)
    assert {cell.data_type for cell in answers if cell.value is not None} == {"s"}, "texts, never formulas"
    for cell, text in zip(answers, HARMFUL, strict=False):
        assert bool(cell.quotePrefix) == text.startswith(("=", "+", "-", "@", "\t", "\r"))
    by_text = dict(zip(HARMFUL, (cell.value for cell in answers), strict=False))
    assert by_text["=cmd|' /C calc'!A0"] == "=cmd|' /C calc'!A0" and by_text["</script>"] == "</script>"
    assert by_text["a\x00b\x1bc\x0b"] == "a\ufffdb\ufffdc\ufffd"
    assert len(by_text["x" * 100_000]) <= LONGEST
    assert by_text["x" * 100_000].endswith("… (cut: 100000 characters in all, see answers.jsonl)")
    assert answers[len(HARMFUL)].value is None, "no answer is an empty cell"
    with zipfile.ZipFile(exported / name) as parts:
        for part in parts.namelist():
            if part.endswith(".xml"):
                assert not list(ElementTree.fromstring(parts.read(part)).iter(f"{{{MAIN}}}f")), "no formula in there"


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def test_a_cell_holds_what_excel_counts():
    assert len(fitted("😀" * 20_000).encode("utf-16-le")) <= 2 * LONGEST
    assert fitted("y" * LONGEST) == "y" * LONGEST
    assert "\ufffd" not in fitted("😀" * 20_000), "no half character where it was cut"


def test_no_answer_is_a_formula_in_a_csv(exported: Path):
    rows = table(exported / "metrics_by_id.csv")[: len(HARMFUL)]
    for row, text in zip(rows, HARMFUL, strict=True):
        assert not row["answer"].startswith(("=", "+", "-", "@", "\t", "\r"))
        if text.startswith(("=", "+", "-", "@")):
            assert row["answer"] == f"'{text}"
    assert rows[0]["rouge1"] == "0.5"


def test_disagreements_are_what_people_should_look_at(exported: Path):
    rows = table(exported / "disagreements.csv")
    whys = {row["sample_id"]: row["why"] for row in rows}
    assert whys["0"] == "candidates differ" and whys[str(len(HARMFUL))] == "an answer is missing"
    assert all(row["human_reference"] == row["human_score"] == "" for row in rows)
    missing = [row for row in rows if row["sample_id"] == str(len(HARMFUL))]
    assert [row["answer"] for row in missing] == ["(failed: timeout: after 3 s)", "Петров"]


def test_agreed_answers_are_looked_at_where_the_reference_says_otherwise(tmp_path: Path):
    for name in ("a", "b"):
        with_answers(tmp_path / "sweep" / name, "Петров", "ИВАНОВ", "петров .")
    assert (
        commands.run("export", [str(tmp_path / "sweep"), "--to", str(tmp_path / "out"), "--only", "disagreements"]) == 0
    )
    rows = table(tmp_path / "out" / "disagreements.csv")
    assert [(row["sample_id"], row["why"]) for row in rows] == [("1", "not as the reference")] * 2 + [
        ("2", "not as the reference")
    ] * 2


def test_an_earlier_export_with_labels_is_not_replaced_by_chance(tmp_path: Path, capsys):
    with_answers(tmp_path / "sweep" / "a", "Петров")
    to = ["--to", str(tmp_path / "out")]
    assert commands.run("export", [str(tmp_path / "sweep"), *to]) == 0
    assert commands.run("export", [str(tmp_path / "sweep"), *to]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert commands.run("export", [str(tmp_path / "sweep"), *to, "--overwrite"]) == 0
    assert commands.run("export", [str(tmp_path / "nothing"), *to]) == 2
    assert "name a job's folder" in capsys.readouterr().err


BOOKS = {"summary_test_stats": "summary", "auto_metrics_stats": "metrics", "judgement_scores": "judge"}


@pytest.mark.parametrize("book", BOOKS)
def test_the_published_workbooks_come_out_as_they_went_in(shared: Path, cli, book: str):
    """The real tables are read as answers with stored columns, and exported again: the same rows and columns."""
    source = shared / "screen_annotation" / f"{book}.xlsx"
    scored = cli(f"experiment=screen_annotation_{BOOKS[book]}", f"answers={source}", "tracking=none")
    assert scored.code == 0, scored.err
    ended = cli("outputs", "--to", "out", module="runner.export")
    assert ended.code == 0, ended.err
    before = pd.read_excel(source, engine="openpyxl")
    after = pd.read_excel(cli.folder / "out" / f"{book}.xlsx", engine="openpyxl")
    assert list(after.columns) == list(before.columns)
    keys = ["model_name", "Image", "candidate"]
    before, after = (frame.sort_values(keys, kind="stable").reset_index(drop=True) for frame in (before, after))
    for column in before.columns:
        if column == "Text Length (char)":
            continue
        if pd.api.types.is_numeric_dtype(before[column]):
            assert after[column].to_numpy() == pytest.approx(before[column].to_numpy(), nan_ok=True), column
        else:
            assert after[column].fillna("").tolist() == before[column].fillna("").tolist(), column


def test_what_judges_gave_stands_in_the_workbook_of_judgements(tmp_path: Path):
    job = with_answers(tmp_path / "job", "Иванов", "Петров")
    common = {"sample_id": "0", "repeat": 0, "judge": "strict", "problem": "", "rival_answer": "г-н Иванов"}
    valid = common | {"state": "valid"}
    verdicts = [
        valid | {"order": 1, "candidate": {"a": 8, "b": 6}, "rival": {"a": 9, "b": 9}, "explanation": "=1"},
        valid | {"order": 2, "candidate": {"a": 6, "b": 4}, "rival": {"a": 10, "b": 8}, "explanation": "да"},
        common | {"order": 2, "state": "invalid", "candidate": {}, "rival": {}, "explanation": ""},
    ]
    (job / "verdicts.jsonl").write_text("".join(json.dumps(one) + "\n" for one in verdicts), encoding="utf-8")
    assert commands.run("export", [str(job), "--only", "workbooks", "--to", str(tmp_path / "out")]) == 0
    judged = pd.read_excel(tmp_path / "out" / "judgement_scores.xlsx")
    assert (judged["Candidate_Score"][0], judged["Reference_Score"][0]) == (6, 9)
    assert judged["reference"][0] == "г-н Иванов"
    assert judged["Judge Explanation"][0] == "strict, order 1: =1\nstrict, order 2: да"
    assert judged["Candidate_Score"].isna()[1], "the second was not judged: not measured, never 0"
