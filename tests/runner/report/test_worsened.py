"""Who still reads pages made worse: a row for each candidate, a column for each kind and strength."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from runner.config.report_settings import ReportConfig
from runner.jobs.folder import JobFolder
from runner.report import loading, spoken
from runner.report.model import Comparison, Report
from runner.report.sections import worsened
from tests.runner.report.jobs import scored_job

N = 40
REFERENCES = [f"слово {number}" for number in range(N)]


def answers(right: int) -> list[str]:
    """Return answers of which the first `right` are right."""
    return [text if number < right else "нет" for number, text in enumerate(REFERENCES)]


def job(folder: Path, number: int, right: int, *overrides: str, kind: str | None = None, strength: float = 0.5) -> None:
    place = folder / f"{number}"
    pages = (f"dataset.degrade={kind or 'null'}", f"dataset.degrade_strength={strength}")
    scored_job(place, *pages, *overrides, answers=answers(right), references=REFERENCES)
    environment = json.loads((place / "environment.json").read_text())
    # As datasets.opening makes it: clean pages have one digest, whatever the strength.
    environment["dataset_digest"] = f"{kind} {strength}" if kind and strength else "clean"
    (place / "environment.json").write_text(json.dumps(environment))


def report(folder: Path, margin: float = 0.1, language: str = "en") -> Report:
    results = [JobFolder(path) for path in sorted(folder.iterdir(), key=lambda path: int(path.name))]
    return loading.build(results, ReportConfig(margin=margin, language=language, measure="exact_match"), "t", folder)


def sections(made: Report) -> list[dict | None]:
    return [worsened.context(compared, spoken.decision_of(compared)) for compared in made.comparisons]


def shown(section: dict) -> list[tuple[str, str, list[tuple[str, str]], str]]:
    return [
        (row["candidate"], row["clean"], [(cell["value"], cell["word"]) for cell in row["cells"]], row["reads"])
        for row in section["rows"]
    ]


def test_each_candidate_has_a_row_and_each_kind_and_strength_a_column(tmp_path: Path):
    for number, (model, kind, strength, right) in enumerate(
        [
            ("demo_m", None, 0.5, 40),
            ("demo_m", "scan", 1, 20),
            ("demo_m", "phone", 0.5, 40),
            ("demo_m", "phone", 1, 37),
            ("demo_s", None, 0.5, 30),
            ("demo_s", "phone", 0.5, 0),
            ("demo_s", "phone", 1, 0),
            ("demo_s", "scan", 1, 28),
        ]
    ):
        job(tmp_path, number, right, f"model={model}", kind=kind, strength=strength)
    made = report(tmp_path)
    clean, *others = sections(made)
    assert others == [None] * 3, "it stands where the clean pages are, once"
    assert clean is not None
    assert clean["columns"] == ["phone 0.5", "phone 1", "scan 1"]
    assert shown(clean) == [
        (
            "demo_m bf16",
            "100.0\u202f%",
            [("100.0\u202f%", "still reads"), ("92.5\u202f%", "undecided"), ("50.0\u202f%", "reads worse")],
            "phone up to 0.5; scan: not shown",
        ),
        (
            "demo_s bf16",
            "75.0\u202f%",
            [("0.0\u202f%", "reads worse"), ("0.0\u202f%", "reads worse"), ("70.0\u202f%", "undecided")],
            "phone: not shown; scan: not shown",
        ),
    ]
    assert clean["rows"][0]["cells"][2]["difference"].startswith("-50.0 [")


def test_jobs_about_other_pages_do_not_compete(tmp_path: Path):
    job(tmp_path, 0, 30, "model=demo_m")
    job(tmp_path, 1, 20, "model=demo_s")
    job(tmp_path, 2, 1, "model=demo_m", kind="fax", strength=1)
    job(tmp_path, 3, 39, "model=demo_s", kind="fax", strength=1)
    made = report(tmp_path)
    assert [(one.dataset, len(one.candidates)) for one in made.comparisons] == [
        ("demo_documents", 2),
        ("demo_documents, fax 1", 2),
    ]
    taken = [spoken.decision_of(one).taken for one in made.comparisons]
    assert [one.label for one in taken if one] == ["demo_m bf16", "demo_s bf16"], "a verdict for each"
    told = "\n".join(spoken.lines(made))
    assert "(demo_documents): take demo_m bf16" in told
    assert "(demo_documents, fax 1): take demo_s bf16" in told


def test_the_clean_pages_of_several_kinds_are_one_candidate(tmp_path: Path):
    for number, (kind, strength) in enumerate([("phone", 0), ("scan", 0), (None, 1), ("phone", 1), ("scan", 1)]):
        job(tmp_path, number, 40 if not strength or not kind else 20, kind=kind, strength=strength)
    made = report(tmp_path)
    assert [len(one.candidates) for one in made.comparisons] == [1, 1, 1]
    assert "2 jobs are not shown" in made.comparisons[0].notes[0]
    section = sections(made)[0]
    assert section is not None
    assert [row["candidate"] for row in section["rows"]] == ["demo_m bf16"]


def test_a_job_that_was_run_twice_stays_twice(tmp_path: Path):
    job(tmp_path, 0, 40)
    job(tmp_path, 1, 40)
    (only,) = report(tmp_path).comparisons
    assert len(only.candidates) == 2
    assert not only.notes


def test_without_clean_pages_there_are_figures_alone(tmp_path: Path):
    job(tmp_path, 0, 40, kind="phone", strength=0.5)
    job(tmp_path, 1, 20, kind="phone", strength=1)
    first, second = sections(report(tmp_path))
    assert second is None
    assert first is not None
    assert shown(first) == [
        ("demo_m bf16", "–", [("100.0\u202f%", ""), ("50.0\u202f%", "")], ""),
    ]


def test_a_seed_is_told_and_a_missing_job_is_a_dash(tmp_path: Path):
    job(tmp_path, 0, 40, "model=demo_m")
    job(tmp_path, 1, 40, "model=demo_m", "dataset.degrade_seed=7", kind="phone")
    job(tmp_path, 2, 30, "model=demo_s")
    job(tmp_path, 3, 30, "model=demo_s", kind="fax")
    section = sections(report(tmp_path))[0]
    assert section is not None
    assert section["columns"] == ["phone (seed 7) 0.5", "fax 0.5"]
    assert [[cell["value"] for cell in row["cells"]] for row in section["rows"]] == [
        ["100.0\u202f%", "–"],
        ["–", "75.0\u202f%"],
    ]


def test_too_few_documents_for_the_margin_are_told_of(tmp_path: Path):
    job(tmp_path, 0, 40)
    job(tmp_path, 1, 40, kind="fax")
    section = sections(report(tmp_path, margin=0.01))[0]
    assert section is not None
    assert shown(section)[0][2] == [("100.0\u202f%", "undecided")], "equal figures prove nothing"
    assert section["too_few"] == (
        "40 documents are too few to show that a difference is below 1.0\u202f%: at least 299 would be needed, "
        "or a larger report.margin."
    )


def test_there_is_no_section_where_no_page_was_made_worse(tmp_path: Path):
    job(tmp_path, 0, 40)
    job(tmp_path, 1, 30, "model=demo_s", kind="phone", strength=0)
    assert sections(report(tmp_path)) == [None]


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        ("en", ["Who still reads pages made worse", "still reads"]),
        ("ru", ["Кто ещё читает испорченные страницы", "ещё"]),
    ],
)
def test_it_stands_on_the_page(tmp_path: Path, language: str, wanted: Sequence[str]):
    from runner.report import page

    job(tmp_path, 0, 40)
    job(tmp_path, 1, 40, kind="fax")
    html = "".join(page.pieces(report(tmp_path, language=language)))
    assert all(text in html for text in wanted)


def test_old_jobs_know_nothing_of_it(tmp_path: Path):
    job(tmp_path, 0, 40)
    job(tmp_path, 1, 20, kind="scan")
    config = (tmp_path / "0" / "config.yaml").read_text(encoding="utf-8")
    kept = [line for line in config.splitlines() if not line.strip().startswith("degrade")]
    (tmp_path / "0" / "config.yaml").write_text("\n".join(kept), encoding="utf-8")
    first: Comparison = report(tmp_path).comparisons[0]
    section = worsened.context(first, spoken.decision_of(first))
    assert section is not None
    assert section["rows"][0]["cells"][0]["word"] == "reads worse"
